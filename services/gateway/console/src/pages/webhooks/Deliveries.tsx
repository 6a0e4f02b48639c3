import { Button, Select } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Inbox, RotateCw } from "lucide-react";
import { api, ok } from "@/api/client";
import type { WebhookDelivery } from "@/api/schema";
import { Answered, Empty } from "@/ui/Feedback";
import { count } from "@/ui/format";
import { type Column, More, Rows, useList } from "@/ui/List";
import css from "@/ui/List.module.css";
import { Card } from "@/ui/Page";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { done } from "@/ui/toasts";

export type DeliveryState = WebhookDelivery["state"];
const TONES = { pending: "idle", waiting: "warn", delivered: "good", dead: "bad" } as const;
const WORDS: Record<DeliveryState, string> = {
  pending: "on its way",
  waiting: "tried again later",
  delivered: "delivered",
  dead: "given up",
};

/** The newest calls of a webhook, and what became of them. */
export function Deliveries({ id, manages }: { id: string; manages: boolean }) {
  const client = useQueryClient();
  const { state } = useSearch({ from: "/signed/webhooks/$id" });
  const navigate = useNavigate({ from: "/webhooks/$id" });
  const list = useList({
    key: ["webhooks", id, "deliveries", state],
    page: (cursor) =>
      ok(
        api.GET("/v1/webhooks/{id}/deliveries", {
          params: { path: { id }, query: { state, limit: 50, cursor } },
        }),
      ),
    everyMs: 5000,
  });
  const rows = list.data ?? [];
  const after = () => client.invalidateQueries({ queryKey: ["webhooks", id] });
  const all = useMutation({
    mutationFn: () => ok(api.POST("/v1/webhooks/{id}/deliveries/retry", { params: { path: { id } } })),
    onSuccess: (result) => {
      done(`${count(result.retried)} are tried again`);
      return after();
    },
  });
  const one = useMutation({
    mutationFn: (delivery: string) =>
      ok(api.POST("/v1/webhooks/{id}/deliveries/{delivery}/retry", { params: { path: { id, delivery } } })),
    onSuccess: () => {
      done("It is tried again");
      return after();
    },
  });
  const columns: Column<WebhookDelivery>[] = [
    {
      head: "What",
      cell: (row) => (
        <>
          {row.type}
          <div className={css.under}>{row.device_id ?? row.id}</div>
        </>
      ),
    },
    { head: "State", cell: (row) => <Status tone={TONES[row.state]}>{WORDS[row.state]}</Status> },
    { head: "Attempts", wide: true, cell: (row) => row.attempts },
    {
      head: "Last answer",
      wide: true,
      cell: (row) => (
        <span className="break">{[row.status, row.code, row.detail].filter(Boolean).join(" · ")}</span>
      ),
    },
    {
      head: "When",
      tight: true,
      cell: (row) => <Time at={row.last_attempt_at ?? row.planned_at} as="ago" />,
    },
    {
      head: "Actions",
      quiet: true,
      end: true,
      cell: (row) =>
        manages &&
        row.state === "dead" && (
          <Button size="xs" variant="default" loading={one.isPending} onClick={() => one.mutate(row.id)}>
            Retry
          </Button>
        ),
    },
  ];
  return (
    <Card flush label="Deliveries">
      <div className={css.tools}>
        <Select
          className={css.choice}
          label="Deliveries"
          placeholder="All"
          clearable
          data={Object.entries(WORDS).map(([value, label]) => ({ value, label }))}
          value={state ?? null}
          onChange={(value) =>
            void navigate({ search: { state: (value as DeliveryState) ?? undefined }, replace: true })
          }
        />
        {manages && rows.some((row) => row.state === "dead") && (
          <div className={css.end}>
            <Button
              variant="default"
              leftSection={<RotateCw size={15} />}
              loading={all.isPending}
              onClick={() => all.mutate()}
            >
              Retry all given up
            </Button>
          </div>
        )}
      </div>
      <Answered query={list}>
        {rows.length === 0 ? (
          <Empty icon={Inbox} title="No such call">
            Each call stands here with its attempts and what the receiver answered.
          </Empty>
        ) : (
          <Rows rows={rows} columns={columns} id={(row) => row.id} />
        )}
        <More list={list} />
      </Answered>
    </Card>
  );
}
