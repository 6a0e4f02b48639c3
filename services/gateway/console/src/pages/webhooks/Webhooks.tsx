import { Button, Table } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Webhook as Icon, Plus } from "lucide-react";
import { useState } from "react";
import { all, api, ok } from "@/api/client";
import { useSession } from "@/api/session";
import { Answered, Empty } from "@/ui/Feedback";
import css from "@/ui/List.module.css";
import { PageLink } from "@/ui/links";
import { Card, Page } from "@/ui/Page";
import { Time } from "@/ui/Time";
import { NewWebhook } from "./NewWebhook";
import { WebhookStatus } from "./state";

export function Webhooks() {
  const manages = useSession().can("manage_integrations");
  const [opened, setOpened] = useState(false);
  const query = useQuery({
    queryKey: ["webhooks"],
    queryFn: () =>
      all((cursor) => ok(api.GET("/v1/webhooks", { params: { query: { limit: 100, cursor } } }))),
    refetchInterval: 10_000,
  });
  const create = manages && (
    <Button leftSection={<Plus size={16} />} onClick={() => setOpened(true)}>
      New webhook
    </Button>
  );
  return (
    <Page
      title="Webhooks"
      about="Alerts, activity and messages, sent to an address of yours: signed, and tried again for hours."
      actions={query.data && query.data.length > 0 && create}
    >
      <Card flush label="Webhooks">
        <Answered query={query}>
          {query.data?.length === 0 ? (
            <Empty icon={Icon} title="No webhooks yet" action={create}>
              {manages
                ? "Give an address, choose what it is to hear, and send a test to it."
                : "Somebody whose key has the scope manage_integrations can add one."}
            </Empty>
          ) : (
            <Table highlightOnHover className={css.table}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Name</Table.Th>
                  <Table.Th>State</Table.Th>
                  <Table.Th className={css.wide}>Hears</Table.Th>
                  <Table.Th className={css.wide}>Made</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {query.data?.map((row) => (
                  <Table.Tr key={row.id}>
                    <Table.Td>
                      <PageLink to="/webhooks/$id" params={{ id: row.id }} fw={550} className="break">
                        {row.name}
                      </PageLink>
                      <div className={css.under}>{row.url}</div>
                    </Table.Td>
                    <Table.Td>
                      <WebhookStatus webhook={row} />
                    </Table.Td>
                    <Table.Td className={css.wide}>{row.events.join(", ")}</Table.Td>
                    <Table.Td className={css.wide}>
                      <Time at={row.created_at} as="ago" />
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          )}
        </Answered>
      </Card>
      {manages && <NewWebhook opened={opened} onClose={() => setOpened(false)} />}
    </Page>
  );
}
