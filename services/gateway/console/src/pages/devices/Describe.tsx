import { Button, Modal, TagsInput, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
import type { DeviceDetail } from "@/api/schema";
import { ProblemAlert } from "@/ui/Feedback";
import { parted } from "@/ui/parted";
import { done } from "@/ui/toasts";
import css from "./Device.module.css";
import { described } from "./queries";

interface DescribeProps {
  device: DeviceDetail;
  opened: boolean;
  onClose: () => void;
}

/** Its name, its tags, and what else people want to know of it. */
export function Describe({ device, opened, onClose }: DescribeProps) {
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title="Describe this device"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <DescribeForm device={device} onClose={onClose} />
    </Modal>
  );
}

function DescribeForm({ device, onClose }: Omit<DescribeProps, "opened">) {
  const client = useQueryClient();
  const [name, setName] = useState(device.name ?? "");
  const [tags, setTags] = useState<string[]>(device.tags ?? []);
  const [metadata, setMetadata] = useState(() => written(device.metadata));
  const wrong = faultOf(metadata);
  const saving = useMutation({
    mutationFn: () =>
      ok(
        api.PATCH("/v1/devices/{id}", {
          params: { path: { id: device.id } },
          body: { name: name.trim() || null, tags, metadata: read(metadata) as never },
        }),
      ),
    meta: { shown: true },
    onSuccess: (settings) => {
      onClose();
      done("The description is saved");
      return described(client, settings);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!wrong) saving.mutate();
  };
  const problem = saving.error && asProblem(saving.error);
  return (
    <form onSubmit={submit} className={css.form}>
      <TextInput
        label="Name"
        description={`In the place of its id, ${device.id}, which stays what it is in topics`}
        placeholder={device.id}
        maxLength={128}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        error={problem?.of("name")}
        data-autofocus
      />
      <TagsInput
        label="Tags"
        description="Enter or a comma ends one"
        placeholder={tags.length ? undefined : "floor 3"}
        value={tags}
        onChange={(next) => setTags(parted(next))}
        maxTags={32}
        acceptValueOnBlur
        error={problem?.of("tags")}
      />
      <Textarea
        label="Metadata"
        description="A JSON object of your own: serial number, place, owner"
        placeholder='{"serial": "B-1187"}'
        classNames={{ input: "mono" }}
        autosize
        minRows={2}
        maxRows={10}
        spellCheck={false}
        value={metadata}
        onChange={(event) => setMetadata(event.currentTarget.value)}
        error={wrong ?? problem?.of("metadata")}
      />
      {problem && problem.errors.length === 0 && <ProblemAlert error={problem} />}
      <Button type="submit" fullWidth loading={saving.isPending} disabled={Boolean(wrong)}>
        Save
      </Button>
    </form>
  );
}

/** What was pasted, or left half typed, may hold several. */
const written = (metadata: Record<string, unknown> | undefined): string =>
  metadata && Object.keys(metadata).length ? JSON.stringify(metadata, null, 2) : "";

const read = (text: string): unknown => (text.trim() ? JSON.parse(text) : {});

/** Why a text is no object; undefined for one. */
function faultOf(text: string): string | undefined {
  try {
    const found = read(text);
    return found && typeof found === "object" && !Array.isArray(found) ? undefined : "It is no JSON object";
  } catch (error) {
    return `It is no JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
}
