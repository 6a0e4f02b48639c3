import { Button, Select, Table } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Inbox, RotateCw } from "lucide-react";
import { useState } from "react";
import { api, ok } from "@/api/client";
import type { WebhookDelivery } from "@/api/schema";
import { Answered, Empty } from "@/ui/Feedback";
import { count } from "@/ui/format";
import { More, useList } from "@/ui/List";
import css from "@/ui/List.module.css";
import { Card } from "@/ui/Page";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { done } from "@/ui/toasts";

type State = WebhookDelivery["state"];
const TONES = { pending: "idle", waiting: "warn", delivered: "good", dead: "bad" } as const;
const WORDS: Record<State, string> = {
  pending: "on its way",
  waiting: "tried again later",
  delivered: "delivered",
  dead: "given up",
};

/** The newest calls of a webhook, and what became of them. */
export function Deliveries({ id, manages }: { id: string; manages: boolean }) {
  const client = useQueryClient();
  const [state, setState] = useState<State>();
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
          onChange={(value) => setState((value as State) ?? undefined)}
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
          <Table className={css.table} highlightOnHover>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>What</Table.Th>
                <Table.Th>State</Table.Th>
                <Table.Th className={css.wide}>Attempts</Table.Th>
                <Table.Th className={css.wide}>Last answer</Table.Th>
                <Table.Th>When</Table.Th>
                <Table.Th aria-label="Actions" />
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {rows.map((row) => (
                <Table.Tr key={row.id}>
                  <Table.Td>
                    {row.type}
                    <div className={css.under}>{row.device_id ?? row.id}</div>
                  </Table.Td>
                  <Table.Td>
                    <Status tone={TONES[row.state]}>{WORDS[row.state]}</Status>
                  </Table.Td>
                  <Table.Td className={css.wide}>{row.attempts}</Table.Td>
                  <Table.Td className={css.wide}>
                    {[row.status, row.code, row.detail].filter(Boolean).join(" · ")}
                  </Table.Td>
                  <Table.Td className={css.tight}>
                    <Time at={row.last_attempt_at ?? row.planned_at} as="ago" />
                  </Table.Td>
                  <Table.Td className={css.number}>
                    {manages && row.state === "dead" && (
                      <Button size="xs" variant="default" onClick={() => one.mutate(row.id)}>
                        Retry
                      </Button>
                    )}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
        <More list={list} />
      </Answered>
    </Card>
  );
}
