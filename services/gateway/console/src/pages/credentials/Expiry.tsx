import { Button, Modal, Text, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
import type { CredentialView } from "@/api/schema";
import { ProblemAlert } from "@/ui/Feedback";
import { done } from "@/ui/toasts";

interface ExpiryProps {
  credential: CredentialView;
  opened: boolean;
  onClose: () => void;
}

/** When it ends: earlier, later, or never. */
export function Expiry({ credential, opened, onClose }: ExpiryProps) {
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title="When it expires"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <ExpiryForm credential={credential} onClose={onClose} />
    </Modal>
  );
}

function ExpiryForm({ credential, onClose }: Omit<ExpiryProps, "opened">) {
  const client = useQueryClient();
  const [at, setAt] = useState(local(credential.expires_at));
  const changing = useMutation({
    mutationFn: (expires_at: string | null) =>
      ok(
        api.PUT("/v1/credentials/{id}/expiry", {
          params: { path: { id: credential.id } },
          body: { expires_at },
        }),
      ),
    meta: { shown: true },
    onSuccess: (held) => {
      done(held.expires_at ? "It has another end" : "It no longer expires");
      onClose();
      return client.invalidateQueries({ queryKey: ["credentials"] });
    },
  });
  const problem = changing.error && asProblem(changing.error);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    changing.mutate(at ? new Date(at).toISOString() : null);
  };
  return (
    <form onSubmit={submit}>
      <Text size="sm" mb="md">
        From then on its devices are disconnected and cannot come back, and nothing can prolong it any more.
      </Text>
      <TextInput
        type="datetime-local"
        label="Expires"
        description="In your time. Empty: never."
        value={at}
        onChange={(event) => setAt(event.currentTarget.value)}
        error={problem?.of("expires_at")}
        data-autofocus
      />
      {problem && !problem.of("expires_at") && <ProblemAlert error={problem} />}
      <Button type="submit" mt="lg" fullWidth loading={changing.isPending}>
        Save
      </Button>
    </form>
  );
}

/** As the browser's field for a local time wants it. */
function local(at: string | null | undefined): string {
  if (!at) return "";
  const date = new Date(at);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
