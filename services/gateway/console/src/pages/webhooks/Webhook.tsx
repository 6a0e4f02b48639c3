import { Button, Modal } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { api, ok } from "@/api/client";
import type { WebhookDetail } from "@/api/schema";
import { useSession } from "@/api/session";
import { useIntegrationNames } from "@/pages/integrations/queries";
import { ConfirmByName } from "@/ui/ConfirmByName";
import { Answered } from "@/ui/Feedback";
import { count } from "@/ui/format";
import { Card, Facts, Page } from "@/ui/Page";
import { SecretOnce } from "@/ui/SecretOnce";
import { Time } from "@/ui/Time";
import { done } from "@/ui/toasts";
import { Deliveries } from "./Deliveries";
import { pausedWords, WebhookStatus } from "./state";
import { TestCall } from "./TestCall";
import { type WebhookBody, WebhookForm } from "./WebhookForm";

const GRACE_S = 86_400;

export function Webhook() {
  const { id } = useParams({ from: "/signed/webhooks/$id" });
  const manages = useSession().can("manage_integrations");
  const query = useQuery({
    queryKey: ["webhooks", id],
    queryFn: () => ok(api.GET("/v1/webhooks/{id}", { params: { path: { id } } })),
    refetchInterval: 5000,
  });
  const [secret, setSecret] = useState<string>();
  const named = useIntegrationNames();
  const webhook = query.data;
  return (
    <Page
      title={webhook?.name ?? "Webhook"}
      beside={webhook && <WebhookStatus webhook={webhook} />}
      about={webhook && pausedWords(webhook)}
      back={{ to: "/webhooks", label: "Webhooks" }}
      actions={webhook && manages && <Acts webhook={webhook} onSecret={setSecret} />}
    >
      {!webhook && (
        <Card flush label="Webhook">
          <Answered query={query}>{null}</Answered>
        </Card>
      )}
      {secret && (
        <Card title="Save the new secret now">
          <SecretOnce
            label="Secret"
            secret={secret}
            filename={id}
            values={{ WEBHOOK_SECRET: secret }}
            onSaved={() => setSecret(undefined)}
            savedLabel="Hide it for good"
          >
            For a day each call carries two signatures: with this secret, and with the former one.
          </SecretOnce>
        </Card>
      )}
      {webhook && (
        <>
          <Card title="What it does">
            <Facts rows={facts(webhook, named)} />
          </Card>
          {manages && <TestCall id={id} />}
          <Deliveries id={id} manages={manages} />
        </>
      )}
    </Page>
  );
}

function facts(webhook: WebhookDetail, named: (id: string) => string): [string, React.ReactNode][] {
  const held = webhook.delivery;
  return [
    [
      "Address",
      <span key="url" className="mono break">
        {webhook.url}
      </span>,
    ],
    ["Hears", webhook.events.join(", ")],
    ["Integration", webhook.integration_id ? named(webhook.integration_id) : "any"],
    ["Devices", webhook.device_ids?.join(", ") || "all"],
    ["Topics", webhook.topic_filters?.join(", ") || "all"],
    ["Order", webhook.ordered ? "of each device" : "as it comes"],
    ["Headers of your own", webhook.headers?.join(", ") || "none"],
    ["Delivered", count(held?.delivered ?? 0)],
    ["Waiting to be tried again", count(held?.waiting ?? 0)],
    ["Given up", count(held?.dead ?? 0)],
    ["Failing since", <Time key="failing" at={held?.failing_since} none="not at all" />],
    ["Last success", <Time key="success" at={held?.last_success_at} as="ago" />],
    ["Last failure", held?.last_failure ? failure(held.last_failure) : "none"],
    ["Former secret until", <Time key="secret" at={webhook.previous_secret_until} none="not valid" />],
  ];
}

function failure(last: { status?: number | null; code?: string | null; detail?: string }): string {
  return [last.status ? `answered ${last.status}` : last.code, last.detail].filter(Boolean).join(": ");
}

interface ActsProps {
  webhook: WebhookDetail;
  onSecret: (secret: string) => void;
}

function Acts({ webhook, onSecret }: ActsProps) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [leaving, setLeaving] = useState(false);
  const [renewing, setRenewing] = useState(false);
  const [changing, setChanging] = useState(false);
  const params = { path: { id: webhook.id } };
  const after = () => client.invalidateQueries({ queryKey: ["webhooks"] });
  const steering = useMutation({
    mutationFn: (paused: boolean) =>
      paused
        ? ok(api.POST("/v1/webhooks/{id}/resume", { params }))
        : ok(api.POST("/v1/webhooks/{id}/pause", { params })),
    onSuccess: (_, resumed) => {
      done(resumed ? "Calls are made again" : "Paused: what happens waits", {
        undo: () => steering.mutate(!resumed),
      });
      return after();
    },
  });
  const saving = useMutation({
    mutationFn: (body: WebhookBody) => ok(api.PATCH("/v1/webhooks/{id}", { params, body })),
    meta: { shown: true },
    onSuccess: () => {
      setChanging(false);
      done("Webhook changed");
      return after();
    },
  });
  const rotating = useMutation({
    mutationFn: () => ok(api.POST("/v1/webhooks/{id}/rotate", { params, body: { grace_seconds: GRACE_S } })),
    onSuccess: (rotated) => {
      onSecret(rotated.secret);
      return after();
    },
  });
  const deleting = useMutation({
    mutationFn: () => ok(api.DELETE("/v1/webhooks/{id}", { params })),
    onSuccess: () => {
      done("Webhook deleted");
      void after();
      void navigate({ to: "/webhooks", ignoreBlocker: true }); // a secret of what is gone need not be saved
    },
  });
  const paused = Boolean(webhook.paused);
  return (
    <>
      <Button variant="default" loading={steering.isPending} onClick={() => steering.mutate(paused)}>
        {paused ? "Resume" : "Pause"}
      </Button>
      <Button variant="default" onClick={() => setChanging(true)}>
        Change
      </Button>
      <Button variant="default" onClick={() => setRenewing(true)}>
        New secret
      </Button>
      <Button variant="default" onClick={() => setLeaving(true)}>
        Delete
      </Button>
      <Modal
        opened={changing}
        onClose={() => setChanging(false)}
        title={`Change ${webhook.name}`}
        closeButtonProps={{ "aria-label": "Close" }}
      >
        <WebhookForm held={webhook} action="Save" saving={saving} />
      </Modal>
      <ConfirmByName
        opened={renewing}
        onClose={() => setRenewing(false)}
        title="Give it a new secret?"
        action="New secret"
        run={() => rotating.mutateAsync()}
      >
        For a day each call carries two signatures, with the new secret and with the present one: enough time
        to give your receiver the new one. A secret before the present one ends now.
      </ConfirmByName>
      <ConfirmByName
        opened={leaving}
        onClose={() => setLeaving(false)}
        title="Delete this webhook?"
        name={webhook.name}
        action="Delete"
        run={() => deleting.mutateAsync()}
      >
        What waits for it is not delivered any more. It cannot be taken back.
      </ConfirmByName>
    </>
  );
}
