import { Button, Checkbox, Select, Table, UnstyledButton } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { MailCheck, RotateCw, Trash2 } from "lucide-react";
import { useState } from "react";
import { api, ok } from "@/api/client";
import type { DeadLetterCount, DeadLetterRow, Retried } from "@/api/schema";
import { useSession } from "@/api/session";
import { ConfirmByName } from "@/ui/ConfirmByName";
import { Answered, Empty } from "@/ui/Feedback";
import { count } from "@/ui/format";
import { More, useList } from "@/ui/List";
import css from "@/ui/List.module.css";
import { Card, Page } from "@/ui/Page";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { done } from "@/ui/toasts";
import { Letter } from "./Letter";

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
const TONES = { open: "warn", resolved: "good", discarded: "idle" } as const;

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
  const [chosen, setChosen] = useState<Set<string>>(new Set());
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
            <Acts ids={held} reason={search.reason} onDone={() => setChosen(new Set())} />
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

interface ReasonsProps {
  rows: DeadLetterCount[];
  chosen?: string;
  onChoose: (reason: string) => void;
}

function Reasons({ rows, chosen, onChoose }: ReasonsProps) {
  return (
    <Table className={css.table} highlightOnHover>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Reason</Table.Th>
          <Table.Th className={css.wide}>Decoder</Table.Th>
          <Table.Th className={css.wide}>From</Table.Th>
          <Table.Th className={css.number}>Letters</Table.Th>
          <Table.Th className={css.wide}>Last</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {rows.slice(0, 8).map((row) => (
          <Table.Tr key={`${row.reason} ${row.decoder} ${row.integration_id}`}>
            <Table.Td>
              <Button
                className={css.opens}
                variant="subtle"
                size="compact-sm"
                disabled={chosen === row.reason}
                onClick={() => onChoose(row.reason)}
              >
                {row.reason}
              </Button>
            </Table.Td>
            <Table.Td className={css.wide}>{row.decoder}</Table.Td>
            <Table.Td className={css.wide}>{row.integration_id}</Table.Td>
            <Table.Td className={css.number}>{count(row.count)}</Table.Td>
            <Table.Td className={css.wide}>
              <Time at={row.last_at} as="ago" />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

/** What is done with those that were chosen; with none chosen, with all that are shown and all like them. */
function Acts({ ids, reason, onDone }: { ids: string[]; reason?: string; onDone: () => void }) {
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const body = ids.length ? { ids } : { filter: reason ? { reason } : {} };
  const which = ids.length ? count(ids.length) : "all";
  const after = () => {
    onDone();
    void client.invalidateQueries({ queryKey: ["dead-letters"] });
  };
  const retrying = useMutation({
    mutationFn: () => ok(api.POST("/v1/dead-letters/retry", { body })),
    onSuccess: (result) => {
      done("Read again", { words: retried(result) });
      after();
    },
  });
  const discarding = useMutation({
    mutationFn: () => ok(api.POST("/v1/dead-letters/discard", { body })),
    onSuccess: (result) => {
      done(`${count(result.discarded)} discarded`);
      after();
    },
  });
  return (
    <div className={css.end}>
      <Button
        variant="default"
        leftSection={<RotateCw size={15} />}
        loading={retrying.isPending}
        onClick={() => retrying.mutate()}
      >
        Retry {which}
      </Button>
      <Button variant="default" leftSection={<Trash2 size={15} />} onClick={() => setAsking(true)}>
        Discard {which}
      </Button>
      <ConfirmByName
        opened={asking}
        onClose={() => setAsking(false)}
        title={`Discard ${which}?`}
        action="Discard"
        run={() => discarding.mutateAsync()}
      >
        They are not retried any more. Their messages stay in the log until its retention ends.
      </ConfirmByName>
    </div>
  );
}

function retried(result: Retried): string {
  const parts = [`${count(result.resolved)} of ${count(result.chosen)} could be read.`];
  if (!result.finished) parts.push("The others are being read: see Redecode.");
  if (result.gone) parts.push(`${count(result.gone)} are in the log no longer.`);
  if (result.more) parts.push("Others match: retry once more.");
  return parts.join(" ");
}

interface LettersProps {
  rows: DeadLetterRow[];
  chosen: Set<string>;
  onChoose?: (chosen: Set<string>) => void;
  onOpen: (id: string) => void;
}

function LettersTable({ rows, chosen, onChoose, onOpen }: LettersProps) {
  const toggle = (id: string, wanted: boolean) => {
    const next = new Set(chosen);
    if (wanted) next.add(id);
    else next.delete(id);
    onChoose?.(next);
  };
  return (
    <Table highlightOnHover className={css.table}>
      <Table.Thead>
        <Table.Tr>
          {onChoose && <Table.Th aria-label="Chosen" />}
          <Table.Th>Topic</Table.Th>
          <Table.Th className={css.wide}>State</Table.Th>
          <Table.Th>Reason</Table.Th>
          <Table.Th className={css.wide}>Payload</Table.Th>
          <Table.Th>Came</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {rows.map((row) => (
          <Table.Tr key={row.id}>
            {onChoose && (
              <Table.Td>
                <Checkbox
                  aria-label={`Choose the letter of ${row.topic}, ${row.sequence}`}
                  checked={chosen.has(row.id)}
                  onChange={(event) => toggle(row.id, event.currentTarget.checked)}
                />
              </Table.Td>
            )}
            <Table.Td className={css.main}>
              <UnstyledButton onClick={() => onOpen(row.id)} className="mono break" title={row.topic}>
                <u>{row.topic.replace(/^org_[a-z0-9]+\//, "")}</u>
              </UnstyledButton>
              <div className={css.under}>{row.integration_id}</div>
            </Table.Td>
            <Table.Td className={css.wide}>
              <Status tone={TONES[row.state]}>{row.state}</Status>
            </Table.Td>
            <Table.Td>
              {row.reason}
              <div className={css.under}>{row.detail}</div>
            </Table.Td>
            <Table.Td className={css.wide}>
              <span className="mono break">{row.preview}</span>
            </Table.Td>
            <Table.Td className={css.tight}>
              <Time at={row.received_at} as="ago" />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
