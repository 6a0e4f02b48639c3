import { Button, Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { MailCheck } from "lucide-react";
import { useState } from "react";
import { api, ok } from "@/api/client";
import type { DeadLetterCount } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered, Empty } from "@/ui/Feedback";
import { count } from "@/ui/format";
import { More, useList } from "@/ui/List";
import css from "@/ui/List.module.css";
import { Card, Page } from "@/ui/Page";
import { Acts } from "./Acts";
import { Letter } from "./Letter";
import { LettersTable } from "./LettersTable";
import { Reasons } from "./Reasons";

export interface DeadLettersSearch {
  state?: "open" | "resolved" | "discarded";
  reason?: string;
  letter?: string;
}

const STATES = [
  { value: "open", label: "Open" },
  { value: "resolved", label: "Resolved" },
  { value: "discarded", label: "Discarded" },
];

export function DeadLetters() {
  const session = useSession();
  const manages = session.can("manage_integrations");
  const search = useSearch({ from: "/signed/dead-letters" });
  const navigate = useNavigate({ from: "/dead-letters" });
  const set = (change: Partial<DeadLettersSearch>) =>
    void navigate({ search: (held) => ({ ...held, ...change }), replace: true });
  const state = search.state ?? "open";
  const asked = { state, reason: search.reason };
  const counts = useQuery({
    queryKey: ["dead-letters", "counts", state],
    queryFn: () => ok(api.GET("/v1/dead-letters/counts", { params: { query: { state } } })),
    refetchInterval: 10_000,
  });
  const list = useList({
    key: ["dead-letters", "list", asked],
    page: (cursor) =>
      ok(api.GET("/v1/dead-letters", { params: { query: { ...asked, limit: 100, cursor } } })),
    everyMs: 10_000,
  });
  const rows = list.data ?? [];
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const held = rows.filter((row) => chosen.has(row.id)).map((row) => row.id);
  return (
    <Page
      title="Dead letters"
      about="Messages that could not be read, kept as they came. Mend the decoder, then retry: nothing is lost."
    >
      {counts.data && counts.data.items.length > 0 && (
        <Card title={`Why ${count(counts.data.total)} could not be read`} flush>
          <Reasons rows={counts.data.items} chosen={search.reason} onChoose={(reason) => set({ reason })} />
        </Card>
      )}
      <Card flush label="Dead letters">
        <div className={css.tools}>
          <Select
            className={css.choice}
            label="State"
            data={STATES}
            allowDeselect={false}
            value={state}
            onChange={(value) => set({ state: value as DeadLettersSearch["state"] })}
          />
          {search.reason && (
            <Button variant="default" onClick={() => set({ reason: undefined })}>
              Only “{search.reason}” ✕
            </Button>
          )}
          {manages && state === "open" && rows.length > 0 && (
            <Acts
              ids={held}
              reason={search.reason}
              total={counted(counts.data?.items, search.reason)}
              onDone={() => setChosen(new Set())}
            />
          )}
        </div>
        <Answered query={list}>
          {rows.length === 0 ? (
            <Empty
              icon={MailCheck}
              title={state === "open" ? "Everything that came could be read" : "None of those"}
            >
              {state === "open" && "A message that a decoder cannot read would wait here, with the reason."}
            </Empty>
          ) : (
            <LettersTable
              rows={rows}
              chosen={chosen}
              onChoose={manages && state === "open" ? setChosen : undefined}
              onOpen={(letter) => set({ letter })}
            />
          )}
          <More list={list} />
        </Answered>
      </Card>
      <Letter id={search.letter} onClose={() => set({ letter: undefined })} />
    </Page>
  );
}

const counted = (rows: DeadLetterCount[] | undefined, reason: string | undefined) =>
  rows?.filter((row) => !reason || row.reason === reason).reduce((sum, row) => sum + row.count, 0);
