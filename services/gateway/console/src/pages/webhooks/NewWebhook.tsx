import { Modal } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, ok } from "@/api/client";
import { SecretOnce } from "@/ui/SecretOnce";
import { type WebhookBody, WebhookForm } from "./WebhookForm";

interface Issued {
  id: string;
  secret: string;
}

export function NewWebhook({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const creating = useMutation({
    mutationFn: (body: WebhookBody) => ok(api.POST("/v1/webhooks", { body })),
    meta: { shown: true },
    onSuccess: (webhook) => {
      void client.invalidateQueries({ queryKey: ["webhooks"] });
      setIssued({ id: webhook.id, secret: webhook.secret });
    },
  });
  const [issued, setIssued] = useState<Issued>();
  const leave = () => {
    onClose();
    if (issued) void navigate({ to: "/webhooks/$id", params: { id: issued.id } });
    setIssued(undefined);
  };
  return (
    <Modal
      opened={opened}
      onClose={leave}
      title={issued ? "Save the signing secret now" : "New webhook"}
      closeButtonProps={{ "aria-label": "Close" }}
    >
      {issued ? (
        <SecretOnce
          label="Secret"
          secret={issued.secret}
          filename={issued.id}
          values={{ WEBHOOK_SECRET: issued.secret }}
          onSaved={leave}
        >
          Your receiver checks each call's signature with it (Standard Webhooks). It is shown this once.
        </SecretOnce>
      ) : (
        <WebhookForm action="Create" saving={creating} />
      )}
    </Modal>
  );
}
