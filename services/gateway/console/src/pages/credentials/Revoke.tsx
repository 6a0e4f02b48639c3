import { Text, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, ok } from "@/api/client";
import type { CredentialView } from "@/api/schema";
import { ConfirmByName } from "@/ui/ConfirmByName";
import { done } from "@/ui/toasts";

interface RevokeProps {
  credential: CredentialView;
  opened: boolean;
  onClose: () => void;
}

export function Revoke({ credential, opened, onClose }: RevokeProps) {
  const client = useQueryClient();
  const [reason, setReason] = useState("");
  const revoking = useMutation({
    mutationFn: () =>
      ok(
        api.POST("/v1/credentials/{id}/revoke", {
          params: { path: { id: credential.id } },
          body: { reason },
        }),
      ),
    onSuccess: () => {
      done(`${credential.name} is revoked`);
      return client.invalidateQueries({ queryKey: ["credentials"] });
    },
  });
  return (
    <ConfirmByName
      opened={opened}
      onClose={onClose}
      title="Revoke this credential"
      name={credential.name}
      action="Revoke"
      run={() => revoking.mutateAsync()}
    >
      <Text size="sm">
        Its devices are disconnected within a second and cannot come back; their sessions and retained
        messages go, too. This is for good.
      </Text>
      <TextInput
        mt="md"
        label="Reason, for the history"
        maxLength={200}
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
      />
    </ConfirmByName>
  );
}
