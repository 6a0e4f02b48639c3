import { Button, Collapse, Modal, Textarea, TextInput, UnstyledButton } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { ChevronRight } from "lucide-react";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
import { ProblemAlert } from "@/ui/Feedback";
import { remember } from "./issued";
import css from "./NewCredential.module.css";

interface Form {
  device_id: string;
  name: string;
  publish: string;
  subscribe: string;
  expires: string;
}

const NOTHING: Form = { device_id: "", name: "", publish: "", subscribe: "", expires: "" };

export function NewCredential({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title="New credential"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <NewCredentialForm />
    </Modal>
  );
}

function NewCredentialForm() {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [form, setForm] = useState(NOTHING);
  const [more, setMore] = useState(false);
  const creating = useMutation({
    mutationFn: (wanted: Form) => ok(api.POST("/v1/credentials", { body: bodyOf(wanted) })),
    meta: { shown: true },
    onSuccess: (credential) => {
      remember(credential);
      void client.invalidateQueries({ queryKey: ["credentials"] });
      void navigate({ to: "/credentials/$id", params: { id: credential.id }, search: { tab: "connect" } });
    },
  });
  const problem = creating.error && asProblem(creating.error);
  const field = (name: keyof Form) => ({
    value: form[name],
    onChange: (event: { currentTarget: { value: string } }) =>
      setForm({ ...form, [name]: event.currentTarget.value }),
    error: problem?.of(name),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    creating.mutate(form);
  };
  return (
    <form onSubmit={submit} className={css.form}>
      <TextInput
        label="Device id"
        description="Its topics are devices/<device id>/…; leave it empty for a gateway that speaks for several."
        placeholder="boiler-7"
        maxLength={128}
        data-autofocus
        {...field("device_id")}
      />
      <UnstyledButton className={css.more} aria-expanded={more} onClick={() => setMore(!more)}>
        <ChevronRight size={15} className={more ? css.turned : css.arrow} aria-hidden /> Name, topics, expiry
      </UnstyledButton>
      <Collapse expanded={more}>
        <div className={css.form}>
          <TextInput label="Name" placeholder="As the device id" maxLength={100} {...field("name")} />
          <Textarea
            label="May publish to"
            description="A filter a line, without the organization's prefix. Empty: its own device's topics."
            placeholder={"devices/boiler-7/#"}
            rows={2}
            classNames={{ input: css.filters }}
            {...field("publish")}
          />
          <Textarea
            label="May subscribe to"
            description="Empty: the commands of its device."
            placeholder="commands/boiler-7/#"
            rows={2}
            classNames={{ input: css.filters }}
            {...field("subscribe")}
          />
          <TextInput
            type="datetime-local"
            label="Expires"
            description="Empty: never."
            {...field("expires")}
            error={problem?.of("expires_at")}
          />
        </div>
      </Collapse>
      {problem && !problem.errors.length && <ProblemAlert error={problem} />}
      <Button type="submit" fullWidth loading={creating.isPending}>
        Create
      </Button>
    </form>
  );
}

export const lines = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);

function bodyOf(form: Form) {
  return {
    ...(form.device_id.trim() && { device_id: form.device_id.trim() }),
    ...(form.name.trim() && { name: form.name.trim() }),
    ...(lines(form.publish).length && { publish: lines(form.publish) }),
    ...(lines(form.subscribe).length && { subscribe: lines(form.subscribe) }),
    ...(form.expires && { expires_at: new Date(form.expires).toISOString() }),
  };
}
