import { Button, Modal, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
import type { CredentialView } from "@/api/schema";

interface RenameProps {
  credential: CredentialView;
  opened: boolean;
  onClose: () => void;
}

export function Rename({ credential, opened, onClose }: RenameProps) {
  const client = useQueryClient();
  const [name, setName] = useState(credential.name);
  const renaming = useMutation({
    mutationFn: () =>
      ok(api.PATCH("/v1/credentials/{id}", { params: { path: { id: credential.id } }, body: { name } })),
    meta: { shown: true },
    onSuccess: () => {
      onClose();
      return client.invalidateQueries({ queryKey: ["credentials"] });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    renaming.mutate();
  };
  return (
    <Modal opened={opened} onClose={onClose} title="Rename" closeButtonProps={{ "aria-label": "Close" }}>
      <form onSubmit={submit}>
        <TextInput
          label="Name"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          maxLength={100}
          data-autofocus
          error={renaming.error && asProblem(renaming.error).message}
        />
        <Button type="submit" mt="lg" fullWidth loading={renaming.isPending} disabled={!name.trim()}>
          Save
        </Button>
      </form>
    </Modal>
  );
}
