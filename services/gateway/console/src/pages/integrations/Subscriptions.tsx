import { ActionIcon, Button, Select, Table, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
import type { IntegrationView, SubscriptionView } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered, ProblemAlert } from "@/ui/Feedback";
import { count } from "@/ui/format";
import { PageLink } from "@/ui/links";
import { Card } from "@/ui/Page";
import { Status, type Tone } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { done } from "@/ui/toasts";
import css from "./Integrations.module.css";

const SHOWN: Record<SubscriptionView["state"], [Tone, string]> = {
  granted: ["good", "Granted"],
  refused: ["bad", "Refused"],
  pending: ["idle", "Pending"],
};

/** What is subscribed to, as the running link has it; added and removed without connecting anew. */
export function Subscriptions({ integration }: { integration: IntegrationView }) {
  const client = useQueryClient();
  const manages = useSession().can("manage_integrations");
  const query = useQuery({
    queryKey: ["integrations", integration.id, "subscriptions"],
    queryFn: () =>
      ok(api.GET("/v1/integrations/{id}/subscriptions", { params: { path: { id: integration.id } } })),
    refetchInterval: 3000,
  });
  const refresh = () => client.invalidateQueries({ queryKey: ["integrations", integration.id] });
  const add = useMutation({
    mutationFn: ({ filter, qos }: { filter: string; qos: 0 | 1 | 2 }) =>
      ok(
        api.POST("/v1/integrations/{id}/subscriptions", {
          params: { path: { id: integration.id } },
          body: { filter, qos },
        }),
      ),
    meta: { shown: true },
    onSuccess: refresh,
  });
  const remove = useMutation({
    mutationFn: (row: SubscriptionView) =>
      ok(
        api.DELETE("/v1/integrations/{id}/subscriptions", {
          params: { path: { id: integration.id }, query: { filter: row.filter } },
        }),
      ),
    onSuccess: (_, row) => {
      done("Removed", { words: row.filter, undo: () => add.mutate({ filter: row.filter, qos: row.qos }) });
      return refresh();
    },
  });
  return (
    <Card flush title="Subscriptions">
      <Answered query={query} rows={3}>
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Filter</Table.Th>
              <Table.Th>State</Table.Th>
              <Table.Th className={css.broad}>QoS</Table.Th>
              <Table.Th className={css.broad}>Messages</Table.Th>
              <Table.Th className={css.broad}>Last one</Table.Th>
              {manages && <Table.Th aria-label="Actions" />}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {query.data?.items.map((row) => (
              <Table.Tr key={row.filter}>
                <Table.Td className="mono break">{row.filter}</Table.Td>
                <Table.Td>
                  <Status tone={SHOWN[row.state][0]}>{SHOWN[row.state][1]}</Status>
                  {row.reason && <div className={css.address}>{row.reason}</div>}
                </Table.Td>
                <Table.Td className={css.broad}>
                  {row.granted_qos == null || row.granted_qos === row.qos
                    ? row.qos
                    : `${row.granted_qos} of ${row.qos}`}
                </Table.Td>
                <Table.Td className={css.broad}>{count(row.messages ?? 0)}</Table.Td>
                <Table.Td className={css.broad}>
                  <Time at={row.last_message_at} as="ago" />
                </Table.Td>
                {manages && (
                  <Table.Td>
                    <ActionIcon
                      variant="subtle"
                      color="gray"
                      aria-label={`Remove ${row.filter}`}
                      onClick={() => remove.mutate(row)}
                    >
                      <Trash2 size={16} />
                    </ActionIcon>
                  </Table.Td>
                )}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
        {query.data?.items.some((row) => row.state === "granted" && !row.messages) && (
          <p className={css.hint}>
            Granted, and nothing comes? Some brokers grant what their ACL then withholds.{" "}
            <PageLink to="/integrations/$id" params={{ id: integration.id }} search={{ tab: "status" }}>
              Test it with a message there and back
            </PageLink>
          </p>
        )}
        {manages && <Add add={(filter, qos) => add.mutateAsync({ filter, qos })} error={add.error} />}
      </Answered>
    </Card>
  );
}

interface AddProps {
  add: (filter: string, qos: 0 | 1 | 2) => Promise<unknown>;
  error: unknown;
}

function Add({ add, error }: AddProps) {
  const [filter, setFilter] = useState("");
  const [qos, setQos] = useState("1");
  const problem = error ? asProblem(error) : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    add(filter.trim(), Number(qos) as 0 | 1 | 2)
      .then(() => setFilter(""))
      .catch(() => undefined); // shown below
  };
  return (
    <form onSubmit={submit} className={css.add}>
      <div className={css.topic}>
        <TextInput
          aria-label="New filter"
          placeholder="devices/+/telemetry"
          value={filter}
          onChange={(event) => setFilter(event.currentTarget.value)}
          classNames={{ input: css.code }}
          error={problem?.of("filter")}
        />
        <Select
          aria-label="QoS of the new filter"
          data={["0", "1", "2"].map((value) => ({ value, label: `QoS ${value}` }))}
          value={qos}
          onChange={(next) => setQos(next ?? "1")}
          w={100}
        />
        <Button type="submit" variant="default" disabled={!filter.trim()}>
          Add
        </Button>
      </div>
      {problem && !problem.of("filter") && <ProblemAlert error={problem} />}
    </form>
  );
}
