import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Webhook as Icon, Plus } from "lucide-react";
import { useState } from "react";
import { all, api, ok } from "@/api/client";
import type { WebhookView } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered, Empty } from "@/ui/Feedback";
import { type Column, Rows } from "@/ui/List";
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
            <Rows rows={query.data ?? []} columns={COLUMNS} id={(row) => row.id} />
          )}
        </Answered>
      </Card>
      {manages && <NewWebhook opened={opened} onClose={() => setOpened(false)} />}
    </Page>
  );
}

const COLUMNS: Column<WebhookView>[] = [
  {
    head: "Name",
    cell: (row) => (
      <>
        <PageLink to="/webhooks/$id" params={{ id: row.id }} fw={550} className="break">
          {row.name}
        </PageLink>
        <div className={css.under}>{row.url}</div>
      </>
    ),
  },
  { head: "State", cell: (row) => <WebhookStatus webhook={row} /> },
  { head: "Hears", wide: true, cell: (row) => row.events.join(", ") },
  { head: "Made", wide: true, cell: (row) => <Time at={row.created_at} as="ago" /> },
];
