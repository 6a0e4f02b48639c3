import { Button, Select, Table, TextInput } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Download, Activity as Icon } from "lucide-react";
import { Fragment, useState } from "react";
import { api, fileAddress, ok } from "@/api/client";
import type { ActivityRow } from "@/api/schema";
import { Answered, Empty } from "@/ui/Feedback";
import { duration } from "@/ui/format";
import { kindWords } from "@/ui/kinds";
import { More, useList } from "@/ui/List";
import css from "@/ui/List.module.css";
import { Card, Facts, Page } from "@/ui/Page";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";

export interface ActivitySearch {
  kind?: string;
  status?: "ok" | "failed";
  from?: string;
}

const SPANS: Record<string, number> = { "1": 3_600_000, "24": 86_400_000, "168": 604_800_000 };

export function Activity() {
  const search = useSearch({ from: "/signed/activity" });
  const navigate = useNavigate({ from: "/activity" });
  const set = (change: Partial<ActivitySearch>) =>
    void navigate({ search: (held) => ({ ...held, ...change }), replace: true });
  const asked = { kind: search.kind ? [search.kind] : undefined, status: search.status, from: search.from };
  const list = useList({
    key: ["activity", asked],
    page: (cursor) => ok(api.GET("/v1/activity", { params: { query: { ...asked, limit: 100, cursor } } })),
    everyMs: 10_000,
  });
  const rows = list.data ?? [];
  const filtered = Boolean(search.kind || search.status || search.from);
  return (
    <Page
      title="Activity"
      about="Who did what, which device came and went, what was refused, and why. Newest first, kept for 90 days."
    >
      <Card flush label="Activity">
        <div className={css.tools}>
          <TextInput
            className={css.grow}
            label="Kind"
            placeholder="device.refused"
            defaultValue={search.kind}
            onBlur={(event) => set({ kind: event.currentTarget.value.trim() || undefined })}
            onKeyDown={(event) =>
              event.key === "Enter" && set({ kind: event.currentTarget.value.trim() || undefined })
            }
          />
          <Select
            className={css.choice}
            label="Outcome"
            data={[
              { value: "ok", label: "Succeeded" },
              { value: "failed", label: "Failed" },
            ]}
            placeholder="Any"
            clearable
            value={search.status ?? null}
            onChange={(value) => set({ status: (value as ActivitySearch["status"]) ?? undefined })}
          />
          <Select
            className={css.choice}
            label="Since"
            data={[
              { value: "1", label: "The last hour" },
              { value: "24", label: "The last day" },
              { value: "168", label: "The last week" },
            ]}
            placeholder="All that is kept"
            clearable
            onChange={(value) =>
              set({ from: value ? new Date(Date.now() - SPANS[value]!).toISOString() : undefined })
            }
          />
          <div className={css.end}>
            <Button
              component="a"
              href={fileAddress("/v1/activity/export", { format: "csv", ...asked, kind: search.kind })}
              variant="default"
              leftSection={<Download size={15} />}
              download
            >
              CSV
            </Button>
          </div>
        </div>
        <Answered query={list} rows={8}>
          {rows.length === 0 ? (
            <Empty icon={Icon} title={filtered ? "Nothing like that happened" : "Nothing happened yet"}>
              {filtered
                ? "Widen the time, or take a filter away."
                : "Connects, refusals, links that come and go, and what people change are shown here."}
            </Empty>
          ) : (
            <ActivityTable rows={rows} />
          )}
          <More list={list} />
        </Answered>
      </Card>
    </Page>
  );
}

function ActivityTable({ rows }: { rows: ActivityRow[] }) {
  const [open, setOpen] = useState<string>();
  return (
    <Table highlightOnHover className={css.table}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>What</Table.Th>
          <Table.Th>Outcome</Table.Th>
          <Table.Th className={css.wide}>Who</Table.Th>
          <Table.Th className={css.wide}>Took</Table.Th>
          <Table.Th>When</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {rows.map((row) => (
          <Fragment key={row.id}>
            <Table.Tr>
              <Table.Td>
                <Button
                  className={css.opens}
                  variant="subtle"
                  size="compact-sm"
                  aria-expanded={open === row.id}
                  onClick={() => setOpen(open === row.id ? undefined : row.id)}
                >
                  {kindWords(row.kind)}
                </Button>
                <div className={css.under}>{row.device_id ?? row.summary}</div>
              </Table.Td>
              <Table.Td>
                <Status tone={row.status === "ok" ? "good" : "bad"}>{row.status}</Status>
                {row.reason && <div className={css.under}>{row.reason}</div>}
              </Table.Td>
              <Table.Td className={css.wide}>
                <span className="mono break">{row.actor}</span>
              </Table.Td>
              <Table.Td className={css.wide}>{took(row.duration_ms)}</Table.Td>
              <Table.Td className={css.tight}>
                <Time at={row.time} as="ago" />
              </Table.Td>
            </Table.Tr>
            {open === row.id && (
              <Table.Tr>
                <Table.Td colSpan={5}>
                  <Facts rows={facts(row)} />
                </Table.Td>
              </Table.Tr>
            )}
          </Fragment>
        ))}
      </Table.Tbody>
    </Table>
  );
}

function took(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "";
  return ms < 1000 ? `${Math.round(ms)} ms` : duration(ms / 1000);
}

function facts(row: ActivityRow): [string, string][] {
  const known: [string, unknown][] = [
    ["Summary", row.summary],
    ["Kind", row.kind],
    ["Reason", row.reason],
    ["Time", row.time],
    ["Actor", row.actor],
    ["Subject", row.subject],
    ["Device", row.device_id],
    ["Id", row.id],
    ...Object.entries(row.details ?? {}),
  ];
  return known
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([label, value]) => [label, typeof value === "string" ? value : JSON.stringify(value)]);
}
