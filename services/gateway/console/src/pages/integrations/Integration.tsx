import { Button, Menu, Tabs, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { Pause, Play, Trash2 } from "lucide-react";
import { api, ok } from "@/api/client";
import type { IntegrationView } from "@/api/schema";
import { useSession } from "@/api/session";
import { ConfirmByName } from "@/ui/ConfirmByName";
import { Answered } from "@/ui/Feedback";
import { FormPanel } from "@/ui/FormPanel";
import { More } from "@/ui/More";
import { Card, Page } from "@/ui/Page";
import { Status } from "@/ui/Status";
import { done } from "@/ui/toasts";
import { ConnectionCard } from "../overview/ConnectionCard";
import { Decoding } from "./Decoding";
import { addressOfBroker } from "./form";
import { Link } from "./Link";
import { LinkState } from "./LinkState";
import { Log } from "./Log";
import { Publish } from "./Publish";
import { integrationQuery, statusQuery } from "./queries";
import { Settings } from "./Settings";
import { Subscriptions } from "./Subscriptions";

interface Panel {
  id: string;
  label: string;
  hosted: boolean;
  external: boolean;
  Content: (props: { integration: IntegrationView }) => React.ReactNode;
}

const PANELS: Panel[] = [
  { id: "status", label: "Status", hosted: false, external: true, Content: Link },
  { id: "connection", label: "Connection", hosted: true, external: false, Content: ConnectionCard },
  { id: "subscriptions", label: "Subscriptions", hosted: false, external: true, Content: Subscriptions },
  { id: "publish", label: "Publish", hosted: true, external: true, Content: Publish },
  { id: "decoder", label: "Decoder", hosted: true, external: true, Content: Decoding },
  { id: "log", label: "Log", hosted: true, external: true, Content: Log },
  { id: "settings", label: "Settings", hosted: false, external: true, Content: Settings },
];

export function Integration() {
  const { id } = useParams({ from: "/signed/integrations/$id" });
  const { tab } = useSearch({ from: "/signed/integrations/$id" });
  const navigate = useNavigate({ from: "/integrations/$id" });
  const manages = useSession().can("manage_integrations");
  const query = useQuery(integrationQuery(id));
  const integration = query.data;
  const external = integration?.broker_type === "external";
  const status = useQuery({ ...statusQuery(id), enabled: external });
  const panels = PANELS.filter((panel) => (external ? panel.external : panel.hosted));
  const shown = panels.find((panel) => panel.id === tab) ?? panels[0];
  const state = external ? <LinkState status={status.data} /> : <Status tone="good">Running</Status>;
  return (
    <Page
      title={integration?.name ?? "Integration"}
      beside={integration && state}
      about={integration && external && <span className="mono">{addressOfBroker(integration)}</span>}
      back={{ to: "/integrations", label: "Integrations" }}
      actions={manages && integration && external && <Actions integration={integration} />}
    >
      {!integration && (
        <Card flush label="Integration">
          <Answered query={query}>{null}</Answered>
        </Card>
      )}
      {integration && (
        <Tabs
          value={shown?.id}
          keepMounted={false}
          onChange={(next) => void navigate({ search: { tab: next ?? undefined }, replace: true })}
        >
          <Tabs.List>
            {panels.map((panel) => (
              <Tabs.Tab key={panel.id} value={panel.id}>
                {panel.label}
              </Tabs.Tab>
            ))}
          </Tabs.List>
          {panels.map(({ id: name, Content }) => (
            <FormPanel key={name} value={name} shown={shown?.id}>
              <Content integration={integration} />
            </FormPanel>
          ))}
        </Tabs>
      )}
    </Page>
  );
}

function Actions({ integration }: { integration: IntegrationView }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [deleting, { open, close }] = useDisclosure(false);
  const path = { params: { path: { id: integration.id } } };
  const refresh = () => client.invalidateQueries({ queryKey: ["integrations"] });
  const toggling = useMutation({
    mutationFn: (pause: boolean) =>
      ok(
        pause
          ? api.POST("/v1/integrations/{id}/pause", path)
          : api.POST("/v1/integrations/{id}/resume", path),
      ),
    onSuccess: (_, paused) => {
      done(paused ? "Paused" : "Resumed", {
        words: paused ? "What the broker keeps for us meanwhile comes later." : undefined,
        undo: () => toggling.mutate(!paused),
      });
      return refresh();
    },
  });
  const removing = useMutation({
    mutationFn: () => ok(api.DELETE("/v1/integrations/{id}", path)),
    onSuccess: () => {
      done(`${integration.name} is deleted`);
      void navigate({ to: "/integrations" });
      return refresh();
    },
  });
  const paused = integration.paused === true;
  return (
    <>
      <Button
        variant="default"
        leftSection={paused ? <Play size={15} /> : <Pause size={15} />}
        loading={toggling.isPending}
        onClick={() => toggling.mutate(!paused)}
      >
        {paused ? "Resume" : "Pause"}
      </Button>
      <More>
        <Menu.Item leftSection={<Trash2 size={15} />} color="var(--bad)" onClick={open}>
          Delete
        </Menu.Item>
      </More>
      <ConfirmByName
        opened={deleting}
        onClose={close}
        title="Delete this integration"
        name={integration.name}
        action="Delete"
        run={() => removing.mutateAsync()}
      >
        <Text size="sm">
          Its connection ends and its secrets are erased. The messages that came by it stay. At the broker
          nothing is changed.
        </Text>
      </ConfirmByName>
    </>
  );
}
