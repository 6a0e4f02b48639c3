import { Button, CloseButton, Select } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { BellOff, Check } from "lucide-react";
import { useState } from "react";
import { api, ok } from "@/api/client";
import type { AlertRow } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered, Empty } from "@/ui/Feedback";
import { count } from "@/ui/format";
import { type Choosing, type Column, More, Rows, useList } from "@/ui/List";
import css from "@/ui/List.module.css";
import { PageLink } from "@/ui/links";
import { Card } from "@/ui/Page";
import { SettlingInput } from "@/ui/SettlingInput";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { done, failed } from "@/ui/toasts";
import { useIntegrationNames, useIntegrationWords } from "../integrations/queries";
import type { AlertsSearch } from "./Alerts";
import { type Severity, STATES, TONES } from "./words";

/** Alerts that are not over, or all that there were. */
export function AlertsCard({ open }: { open?: boolean }) {
  const manages = useSession().can("manage_alerts");
  const search = useSearch({ from: "/signed/alerts" });
  const navigate = useNavigate({ from: "/alerts" });
  const set = (change: AlertsSearch) =>
    void navigate({ search: (held) => ({ ...held, ...change }), replace: true });
  const asked = {
    state: open ? ("unresolved" as const) : undefined,
    severity: search.severity,
    device_id: search.device,
    rule_id: search.of,
  };
  const list = useList({
    key: ["alerts", asked],
    page: (cursor) => ok(api.GET("/v1/alerts", { params: { query: { ...asked, limit: 100, cursor } } })),
    everyMs: 5000,
  });
  const rows = list.data ?? [];
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const held = rows.filter((row) => chosen.has(row.id) && row.state === "open");
  const filtered = Boolean(search.severity || search.device || search.of);
  const none = { severity: undefined, device: undefined, of: undefined };
  return (
    <Card flush label={open ? "Open alerts" : "All alerts"}>
      <div className={css.tools}>
        <SettlingInput
          className={css.grow}
          label="Device"
          placeholder="boiler-7"
          value={search.device}
          settle={(device) => set({ device })}
        />
        <Select
          className={css.choice}
          label="Severity"
          placeholder="Any"
          clearable
          data={["info", "warning", "critical"]}
          value={search.severity ?? null}
          onChange={(severity) => set({ severity: (severity as Severity) ?? undefined })}
        />
        {search.of && (
          <span className={css.only}>
            of one rule
            <CloseButton size="sm" aria-label="Alerts of all rules" onClick={() => set({ of: undefined })} />
          </span>
        )}
        {manages && held.length > 0 && <AcknowledgeThem rows={held} onDone={() => setChosen(new Set())} />}
      </div>
      <Answered query={list}>
        {rows.length === 0 ? (
          filtered ? (
            <Empty
              icon={BellOff}
              title="No such alert"
              action={
                <Button variant="default" onClick={() => set(none)}>
                  Show all
                </Button>
              }
            />
          ) : (
            <Empty icon={BellOff} title={open ? "Nothing is wrong" : "No alert yet"}>
              {open
                ? "An alert stands here from when its rule is broken until it is resolved."
                : "A rule for links that go down is there from the beginning; add others under Rules."}
            </Empty>
          )
        ) : (
          <Rows
            rows={rows}
            columns={COLUMNS}
            id={(row) => row.id}
            choosing={manages && open ? { ...CHOOSING, chosen, choose: setChosen } : undefined}
          />
        )}
        <More list={list} />
      </Answered>
    </Card>
  );
}

const CHOOSING: Pick<Choosing<AlertRow>, "name" | "may"> = {
  name: (row) => `${row.rule_name}, ${row.device_id ?? row.integration_id ?? "the organization"}`,
  may: (row) => row.state === "open",
};

const COLUMNS: Column<AlertRow>[] = [
  {
    head: "What",
    cell: (row) => (
      <>
        <PageLink to="/alerts/$id" params={{ id: row.id }} fw={550} className="break">
          {row.rule_name}
        </PageLink>
        <Summary words={row.summary} />
      </>
    ),
  },
  {
    head: "State",
    cell: (row) => (
      <Status tone={STATES[row.state]} pulse={row.state === "open"}>
        {row.state}
      </Status>
    ),
  },
  { head: "Severity", wide: true, cell: (row) => <Status tone={TONES[row.severity]}>{row.severity}</Status> },
  {
    head: "Of",
    wide: true,
    cell: (row) => <About row={row} />,
  },
  { head: "Since", tight: true, cell: (row) => <Time at={row.since} as="ago" /> },
];

function Summary({ words }: { words: string }) {
  return <div className={css.under}>{useIntegrationWords()(words)}</div>;
}

export function About({ row }: { row: Pick<AlertRow, "device_id" | "integration_id"> }) {
  const named = useIntegrationNames();
  if (row.device_id) {
    return (
      <PageLink to="/devices/$id" params={{ id: row.device_id }} className="break">
        {row.device_id}
      </PageLink>
    );
  }
  if (row.integration_id) {
    return (
      <PageLink to="/integrations/$id" params={{ id: row.integration_id }} className="break">
        {named(row.integration_id)}
      </PageLink>
    );
  }
  return "the organization";
}

const AT_ONCE = 5;

/** One call each, some at a time; what was done stays done where another one fails. */
function AcknowledgeThem({ rows, onDone }: { rows: AlertRow[]; onDone: () => void }) {
  const client = useQueryClient();
  const [past, setPast] = useState(0);
  const acknowledging = useMutation({
    mutationFn: async () => {
      const waiting = [...rows];
      const wrong: unknown[] = [];
      const next = async (): Promise<void> => {
        const row = waiting.shift();
        if (!row) return;
        await ok(
          api.POST("/v1/alerts/{id}/acknowledge", { params: { path: { id: row.id } }, body: {} }),
        ).catch((error: unknown) => wrong.push(error));
        setPast((n) => n + 1);
        await next();
      };
      await Promise.all(Array.from({ length: AT_ONCE }, next));
      return wrong;
    },
    onSuccess: (wrong) => {
      const well = rows.length - wrong.length;
      if (well) done(`${count(well)} acknowledged`);
      if (wrong.length) failed(wrong[0]);
      setPast(0);
      onDone();
      return client.invalidateQueries({ queryKey: ["alerts"] });
    },
  });
  return (
    <div className={css.end}>
      {acknowledging.isPending && (
        <span className={css.under} role="status">
          {past} of {rows.length}
        </span>
      )}
      <Button
        leftSection={<Check size={15} />}
        loading={acknowledging.isPending}
        onClick={() => acknowledging.mutate()}
      >
        Acknowledge {count(rows.length)}
      </Button>
    </div>
  );
}
