import { Progress, Table } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Gauge } from "lucide-react";
import { api, ok } from "@/api/client";
import type { LimitUse } from "@/api/schema";
import { Answered, Empty } from "@/ui/Feedback";
import { bytes, count } from "@/ui/format";
import css from "@/ui/List.module.css";
import { Card, Page } from "@/ui/Page";
import { Time } from "@/ui/Time";

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

export function Limits() {
  const query = useQuery({
    queryKey: ["limits"],
    queryFn: () => ok(api.GET("/v1/limits", {})),
    refetchInterval: 5000,
  });
  const rows = query.data?.items ?? [];
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
            <Empty icon={Gauge} title="No limits are set" />
          ) : (
            <Table className={css.table}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Limit</Table.Th>
                  <Table.Th>Now</Table.Th>
                  <Table.Th className={css.wide}>How it is held</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {rows.map((row) => (
                  <LimitRow key={row.limit} row={row} />
                ))}
              </Table.Tbody>
            </Table>
          )}
        </Answered>
      </Card>
    </Page>
  );
}

function LimitRow({ row }: { row: LimitUse }) {
  const shown = row.limit.startsWith("bytes") || row.limit === "payload_bytes" ? bytes : count;
  const share = row.allowed && row.current !== null ? Math.min(100, (100 * row.current) / row.allowed) : null;
  const label = LABELS[row.limit] ?? row.limit;
  return (
    <Table.Tr>
      <Table.Td>{label}</Table.Td>
      <Table.Td>
        {row.current !== null && <strong>{shown(Math.round(row.current))}</strong>}
        {row.current !== null && " of "}
        {row.allowed === null ? "no limit" : shown(row.allowed)}
        {share !== null && (
          <Progress
            value={share}
            color={share > 90 ? "red" : share > 70 ? "yellow" : undefined}
            size="sm"
            mt={6}
            aria-label={`${label}: ${Math.round(share)} percent used`}
          />
        )}
      </Table.Td>
      <Table.Td className={css.wide}>{row.held.map((each) => HELD[each] ?? each).join("; ")}</Table.Td>
    </Table.Tr>
  );
}
