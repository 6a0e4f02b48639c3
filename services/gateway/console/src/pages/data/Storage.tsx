import { Progress } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Database } from "lucide-react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
import type { Stored } from "@/api/schema";
import { Answered, Empty } from "@/ui/Feedback";
import { bytes, count } from "@/ui/format";
import { type Column, Rows } from "@/ui/List";
import css from "@/ui/List.module.css";
import { Card } from "@/ui/Page";
import { SettlingInput } from "@/ui/SettlingInput";

const LABELS: Record<Stored["tier"], string> = {
  readings: "Readings",
  messages: "Messages with their payloads",
  minutes: "By the minute",
  hours: "By the hour",
  days: "By the day",
};

/** What it takes, of the organization and of a device that somebody asks for. */
export function Storage() {
  const { device } = useSearch({ from: "/signed/data" });
  const navigate = useNavigate({ from: "/data" });
  const query = useQuery({
    queryKey: ["storage"],
    queryFn: () => ok(api.GET("/v1/storage")),
    refetchInterval: 60_000,
  });
  const one = useQuery({
    queryKey: ["storage", device],
    queryFn: () => ok(api.GET("/v1/storage", { params: { query: { device_id: [device ?? ""] } } })),
    enabled: Boolean(device),
    retry: false,
  });
  const of = one.data?.devices?.[0];
  const items = (of ?? query.data)?.items ?? [];
  const whole = (of ?? query.data)?.bytes ?? 0;
  const unknown = one.error && asProblem(one.error).code === "not_found";
  return (
    <Card flush label="Storage">
      <div className={css.tools}>
        <div className={css.grow}>
          <h2 className={css.heading}>What it takes: {bytes(whole)}</h2>
          <div className={css.under}>
            {of ? `of ${of.device_id}` : "of all devices"}, estimated from the database's statistics
          </div>
        </div>
        <div className={css.end}>
          <SettlingInput
            aria-label="Of one device"
            placeholder="Id of a device"
            value={device}
            settle={(id) => void navigate({ search: { device: id }, replace: true })}
            error={unknown ? "No such device" : undefined}
          />
        </div>
      </div>
      <Answered query={query}>
        {items.every((each) => each.rows === 0) ? (
          <Empty icon={Database} title="Next to nothing yet">
            The database counts what it holds every few minutes; small amounts show as none.
          </Empty>
        ) : (
          <Rows rows={[...items]} columns={columns(whole)} id={(row) => row.tier} />
        )}
      </Answered>
    </Card>
  );
}

const share = (part: number, whole: number): number => (whole ? Math.round((100 * part) / whole) : 0);

const columns = (whole: number): Column<Stored>[] => [
  {
    head: "What",
    cell: (row) => (
      <>
        {LABELS[row.tier]}
        <Progress
          value={share(row.bytes, whole)}
          size="sm"
          mt={6}
          aria-label={`${LABELS[row.tier]}: ${share(row.bytes, whole)} percent of it`}
        />
      </>
    ),
  },
  { head: "Rows", end: true, cell: (row) => count(row.rows) },
  { head: "Room", end: true, cell: (row) => bytes(row.bytes) },
];
