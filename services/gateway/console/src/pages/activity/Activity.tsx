import { Button, CloseButton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Activity as Icon } from "lucide-react";
import { api, ok } from "@/api/client";
import type { ActivityRow } from "@/api/schema";
import { Answered, Empty } from "@/ui/Feedback";
import { duration } from "@/ui/format";
import { kindWords } from "@/ui/kinds";
import { type Column, More, Rows, useList } from "@/ui/List";
import css from "@/ui/List.module.css";
import { Card, Page } from "@/ui/Page";
import { Status, type Tone } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { Entry } from "./Entry";
import { Filters } from "./Filters";

export interface ActivitySearch {
  q?: string;
  kind?: string;
  status?: "ok" | "failed" | "refused";
  direction?: "in" | "out" | "own";
  device?: string;
  integration?: string;
  credential?: string;
  actor?: string;
  from?: string;
  to?: string;
  /** The entry that is open. */
  entry?: string;
}

export const TONES: Record<string, Tone> = { ok: "good", failed: "bad", refused: "warn" };
const NONE: ActivitySearch = {
  q: undefined,
  kind: undefined,
  status: undefined,
  direction: undefined,
  device: undefined,
  integration: undefined,
  credential: undefined,
  actor: undefined,
  from: undefined,
  to: undefined,
};

export function Activity() {
  const search = useSearch({ from: "/signed/activity" });
  const navigate = useNavigate({ from: "/activity" });
  const set = (change: ActivitySearch) =>
    void navigate({ search: (held) => ({ ...held, ...change }), replace: true });
  const asked = askedBy(search);
  const list = useList({
    key: ["activity", asked],
    page: (cursor) => ok(api.GET("/v1/activity", { params: { query: { ...asked, limit: 100, cursor } } })),
    everyMs: 10_000,
  });
  const rows = list.data ?? [];
  const filtered = Object.keys(NONE).some((name) => search[name as keyof ActivitySearch]);
  return (
    <Page
      title="Activity"
      about="Who did what, which device came and went, what was refused, and why. Newest first, kept for 90 days."
    >
      <Card flush label="Activity">
        <Filters search={search} asked={asked} set={set} />
        {search.entry && list.data && !rows.some((row) => row.id === search.entry) && (
          <Linked id={search.entry} onClose={() => set({ entry: undefined })} />
        )}
        <Answered query={list} rows={8}>
          {rows.length === 0 ? (
            <Empty
              icon={Icon}
              title={filtered ? "Nothing like that happened" : "Nothing happened yet"}
              action={
                filtered && (
                  <Button variant="default" onClick={() => set(NONE)}>
                    Show everything
                  </Button>
                )
              }
            >
              {filtered
                ? "Widen the time, or take a filter away."
                : "Connects, refusals, links that come and go, and what people change are shown here."}
            </Empty>
          ) : (
            <Rows
              rows={rows}
              columns={columns(search.entry, (entry) => set({ entry }))}
              id={(row) => row.id}
              detail={(row) => row.id === search.entry && <Entry row={row} />}
            />
          )}
          <More list={list} />
        </Answered>
      </Card>
    </Page>
  );
}

/** An entry that a link names, and that is not among those shown. */
function Linked({ id, onClose }: { id: string; onClose: () => void }) {
  const query = useQuery({
    queryKey: ["activity", "entry", id],
    queryFn: () => ok(api.GET("/v1/activity/{id}", { params: { path: { id } } })),
  });
  return (
    <section className={css.linked} aria-label="The entry of the link">
      <CloseButton className={css.corner} aria-label="Close the entry" onClick={onClose} />
      <Answered query={query} rows={4}>
        {query.data && <Entry row={query.data} />}
      </Answered>
    </section>
  );
}

/** The filters as the API takes them. */
function askedBy({
  q,
  kind,
  status,
  direction,
  device,
  integration,
  credential,
  actor,
  from,
  to,
}: ActivitySearch) {
  return {
    q,
    kind: kind ? [kind] : undefined,
    status,
    direction,
    device_id: device,
    integration_id: integration,
    credential_id: credential,
    actor,
    from,
    to,
  };
}
export type Asked = ReturnType<typeof askedBy>;

const columns = (open: string | undefined, show: (id?: string) => void): Column<ActivityRow>[] => [
  {
    head: "What",
    cell: (row) => (
      <>
        <Button
          className={css.opens}
          variant="subtle"
          size="compact-sm"
          aria-expanded={open === row.id}
          onClick={() => show(open === row.id ? undefined : row.id)}
        >
          {kindWords(row.kind)}
        </Button>
        <div className={css.under}>{told(row)}</div>
      </>
    ),
  },
  {
    head: "Outcome",
    cell: (row) => (
      <>
        <Status tone={TONES[row.status] ?? "idle"}>{row.status}</Status>
        {row.reason && <div className={css.reason}>{breakable(row.reason)}</div>}
      </>
    ),
  },
  { head: "Who", wide: true, cell: (row) => <span className="mono break">{row.actor}</span> },
  { head: "Took", wide: true, tight: true, cell: (row) => took(row.duration_ms) },
  { head: "When", tight: true, cell: (row) => <Time at={row.time} as="ago" /> },
];

/** The device where its summary does not begin with it. */
function told({ device_id, summary }: ActivityRow): string {
  if (!device_id || summary.startsWith(device_id)) return summary;
  return summary ? `${device_id} · ${summary}` : device_id;
}

/** A code may be broken behind its parts. */
const breakable = (code: string): string => code.replaceAll(/[._]/g, "$&\u200b");

function took(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "";
  return ms < 1000 ? `${Math.round(ms)} ms` : duration(ms / 1000);
}
