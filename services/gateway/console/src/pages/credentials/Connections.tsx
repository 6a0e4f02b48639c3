import { Button, Table } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { PlugZap } from "lucide-react";
import { api, ok } from "@/api/client";
import type { CredentialView } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered, Empty } from "@/ui/Feedback";
import { bytes, count } from "@/ui/format";
import { Card, Columns, Facts } from "@/ui/Page";
import { Time } from "@/ui/Time";
import { done } from "@/ui/toasts";
import css from "./Details.module.css";
import { connectionsQuery } from "./queries";

/** Who is connected with it now, and what came of all connections. */
export function Connections({ credential }: { credential: CredentialView }) {
  const client = useQueryClient();
  const manages = useSession().can("manage_credentials");
  const query = useQuery(connectionsQuery(credential.id));
  const ending = useMutation({
    mutationFn: (client_id: string) =>
      ok(
        api.POST("/v1/credentials/{id}/disconnect", {
          params: { path: { id: credential.id } },
          body: { client_id },
        }),
      ),
    onSuccess: () => {
      done("Disconnected", { words: "It may connect again: revoke the credential to prevent that." });
      return client.invalidateQueries({ queryKey: ["credentials", credential.id] });
    },
  });
  const rows = query.data?.items ?? [];
  const total = query.data?.statistics;
  return (
    <div className={css.stack}>
      <Card title="Open now" flush>
        <Answered query={query} rows={3}>
          {rows.length === 0 ? (
            <Empty icon={PlugZap} title="Nobody is connected">
              Connections are shown here as they come, with what they send.
            </Empty>
          ) : (
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Client id</Table.Th>
                  <Table.Th>Address</Table.Th>
                  <Table.Th>Since</Table.Th>
                  <Table.Th>From device</Table.Th>
                  <Table.Th>To device</Table.Th>
                  <Table.Th aria-label="Actions" />
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {rows.map((row) => (
                  <Table.Tr key={row.id}>
                    <Table.Td className="mono break">{row.client_id}</Table.Td>
                    <Table.Td className="mono">{row.address}</Table.Td>
                    <Table.Td>
                      <Time at={row.connected_at} as="ago" />
                    </Table.Td>
                    <Table.Td>
                      {count(row.messages_in ?? 0)} · {bytes(row.bytes_in ?? 0)}
                    </Table.Td>
                    <Table.Td>
                      {count(row.messages_out ?? 0)} · {bytes(row.bytes_out ?? 0)}
                    </Table.Td>
                    <Table.Td>
                      {manages && (
                        <Button
                          size="compact-sm"
                          variant="subtle"
                          loading={ending.isPending && ending.variables === row.client_id}
                          onClick={() => ending.mutate(row.client_id)}
                        >
                          Disconnect
                        </Button>
                      )}
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          )}
        </Answered>
      </Card>
      {total && (
        <Columns min={380}>
          <Card title="Since its beginning">
            <Facts
              rows={[
                ["Connects", count(total.connects ?? 0)],
                ["Messages in", `${count(total.messages_in ?? 0)} (${bytes(total.bytes_in ?? 0)})`],
                ["Messages out", `${count(total.messages_out ?? 0)} (${bytes(total.bytes_out ?? 0)})`],
                ["Last seen", <Time key="s" at={total.last_seen_at} />],
                ["Last address", total.last_address ?? "–"],
                ["Last end", total.last_disconnect_reason ?? "–"],
              ]}
            />
          </Card>
          <Card title="Refused">
            {total.refusals?.length ? (
              total.refusals.map((refusal) => (
                <div key={refusal.reason} className={css.secret}>
                  <span className="mono">{refusal.reason}</span>
                  <span className={css.words}>
                    {count(refusal.count)} times, last <Time at={refusal.last_at} as="ago" />
                  </span>
                </div>
              ))
            ) : (
              <p className={css.none}>No connect was refused.</p>
            )}
          </Card>
        </Columns>
      )}
    </div>
  );
}
