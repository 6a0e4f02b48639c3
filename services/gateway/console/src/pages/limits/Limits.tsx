import { Progress } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Gauge } from "lucide-react";
import { api, ok } from "@/api/client";
import type { LimitUse } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered, Empty } from "@/ui/Feedback";
import { bytes, count } from "@/ui/format";
import { type Column, Rows } from "@/ui/List";
import { Card, Page } from "@/ui/Page";
import { Time } from "@/ui/Time";
import { Usage } from "./Usage";
import { Users } from "./Users";

const LABELS: Record<string, string> = {
  connections: "Devices connected at once",
  messages_per_s: "Messages a second",
  bytes_per_s: "Bytes a second",
  subscriptions: "Subscriptions of devices",
  payload_bytes: "Bytes of a message",
};
const HELD: Record<string, string> = {
  connect: "more are refused when they connect",
  measured: "measured, and said in activity when passed",
  http: "by HTTP, more are answered 429",
  dead_letter: "a larger one becomes a dead letter",
};
const heldBy = (row: LimitUse): string[] =>
  row.held.map((each) =>
    row.limit === "payload_bytes" && each === "http"
      ? "by HTTP, a larger one is answered 413"
      : (HELD[each] ?? each),
  );

export function Limits() {
  const query = useQuery({
    queryKey: ["limits"],
    queryFn: () => ok(api.GET("/v1/limits", {})),
    refetchInterval: 5000,
  });
  const rows = query.data?.items ?? [];
  const reads = useSession().can("read");
  return (
    <Page
      title="Limits and usage"
      about={
        <>
          What this organization may use, and how much of it is used now
          {query.data?.measured_at && (
            <>
              , measured <Time at={query.data.measured_at} as="ago" />
            </>
          )}
          . Whoever runs the platform sets the limits.
        </>
      }
    >
      <Card flush label="Limits">
        <Answered query={query}>
          {rows.length === 0 ? (
            <Empty icon={Gauge} title="No limits are set">
              Whoever runs the platform sets them. What is used is below.
            </Empty>
          ) : (
            <Rows rows={rows} columns={COLUMNS} id={(row) => row.limit} />
          )}
        </Answered>
      </Card>
      {reads && <Usage />}
      {reads && <Users />}
    </Page>
  );
}

const COLUMNS: Column<LimitUse>[] = [
  { head: "Limit", cell: (row) => LABELS[row.limit] ?? row.limit },
  { head: "Now", cell: (row) => <Used row={row} /> },
  {
    head: "How it is held",
    wide: true,
    cell: (row) => heldBy(row).join("; "),
  },
];

function Used({ row }: { row: LimitUse }) {
  const shown = row.limit.startsWith("bytes") || row.limit === "payload_bytes" ? bytes : count;
  const share = row.allowed && row.current !== null ? Math.min(100, (100 * row.current) / row.allowed) : null;
  return (
    <>
      {row.current !== null && <strong>{shown(Math.round(row.current))}</strong>}
      {row.current !== null && " of "}
      {row.allowed === null ? "no limit" : shown(row.allowed)}
      {share !== null && (
        <Progress
          value={share}
          color={share > 90 ? "red" : share > 70 ? "yellow" : undefined}
          size="sm"
          mt={6}
          aria-label={`${LABELS[row.limit] ?? row.limit}: ${Math.round(share)} percent used`}
        />
      )}
    </>
  );
}
