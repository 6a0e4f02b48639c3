import { Button, Modal, SegmentedControl, Text } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, ok } from "@/api/client";
import type { CredentialIssued, CredentialView } from "@/api/schema";
import { ProblemAlert } from "@/ui/Feedback";

const GRACES = [
  { value: "0", label: "None" },
  { value: "3600", label: "1 hour" },
  { value: "86400", label: "1 day" },
  { value: "604800", label: "7 days" },
];

interface RotateProps {
  credential: CredentialView;
  opened: boolean;
  onClose: () => void;
  renewed: (fresh: CredentialIssued) => void;
}

export function Rotate({ credential, opened, onClose, renewed }: RotateProps) {
  const client = useQueryClient();
  const [grace, setGrace] = useState("86400");
  const rotating = useMutation({
    mutationFn: () =>
      ok(
        api.POST("/v1/credentials/{id}/rotate", {
          params: { path: { id: credential.id } },
          body: { grace_seconds: Number(grace) },
        }),
      ),
    meta: { shown: true },
    onSuccess: (fresh) => {
      renewed(fresh);
      void client.invalidateQueries({ queryKey: ["credentials"] });
      onClose();
    },
  });
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title="Rotate the password"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <Text size="sm" mb="md">
        You get a new password. For how long does the old one hold beside it, so that the device can be given
        the new one without a gap?
      </Text>
      <SegmentedControl
        aria-label="The old password holds for"
        fullWidth
        data={GRACES}
        value={grace}
        onChange={setGrace}
      />
      <Text size="sm" mt="sm" c={grace === "0" ? "var(--bad)" : "dimmed"}>
        {grace === "0"
          ? "The device is disconnected at once, and cannot connect until it has the new password."
          : "Details show which of the two was used when. At its end, sessions that began with the old one are closed."}
      </Text>
      {rotating.error && <ProblemAlert error={rotating.error} />}
      <Button fullWidth mt="lg" loading={rotating.isPending} onClick={() => rotating.mutate()}>
        Rotate
      </Button>
    </Modal>
  );
}
