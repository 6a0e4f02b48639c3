import { Button, Checkbox, Modal, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
import { ProblemAlert } from "@/ui/Feedback";
import css from "@/ui/List.module.css";
import { SecretOnce } from "@/ui/SecretOnce";

interface Issued {
  id: string;
  secret: string;
}

export function NewWebhook({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const navigate = useNavigate();
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
        <WebhookForm onIssued={setIssued} />
      )}
    </Modal>
  );
}

const EVENTS = [
  { value: "alert.*", label: "Alerts" },
  { value: "link.*", label: "Links of brokers" },
  { value: "device.*", label: "Devices that come, go or are refused" },
  { value: "credential.*", label: "Changes of credentials" },
  { value: "message", label: "Messages of devices" },
];

const commas = (text: string): string[] =>
  text
    .split(/[,\n]/)
    .map((each) => each.trim())
    .filter(Boolean);

function WebhookForm({ onIssued }: { onIssued: (issued: Issued) => void }) {
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [url, setUrl] = useState("");
  const [events, setEvents] = useState<string[]>(["alert.*"]);
  const [others, setOthers] = useState("");
  const [filters, setFilters] = useState("");
  const [ordered, setOrdered] = useState(false);
  const messages = events.includes("message");
  const creating = useMutation({
    mutationFn: () =>
      ok(
        api.POST("/v1/webhooks", {
          body: {
            name: name.trim(),
            url: url.trim(),
            events: [...events, ...commas(others)],
            ordered,
            ...(messages && commas(filters).length > 0 && { topic_filters: commas(filters) }),
          },
        }),
      ),
    meta: { shown: true },
    onSuccess: (webhook) => {
      void client.invalidateQueries({ queryKey: ["webhooks"] });
      onIssued({ id: webhook.id, secret: webhook.secret });
    },
  });
  const problem = creating.error && asProblem(creating.error);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    creating.mutate();
  };
  return (
    <form onSubmit={submit} className={css.form}>
      <TextInput
        label="Name"
        placeholder="Operations"
        required
        maxLength={100}
        data-autofocus
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        error={problem?.of("name")}
      />
      <TextInput
        label="Address"
        type="url"
        placeholder="https://hooks.example.com/hybridmq"
        required
        maxLength={2048}
        value={url}
        onChange={(event) => setUrl(event.currentTarget.value)}
        error={problem?.of("url")}
      />
      <Checkbox.Group label="It hears" value={events} onChange={setEvents} error={problem?.of("events")}>
        <div className={css.form}>
          <span />
          {EVENTS.map((each) => (
            <Checkbox key={each.value} value={each.value} label={each.label} />
          ))}
        </div>
      </Checkbox.Group>
      <TextInput
        label="Other kinds of activity"
        placeholder="api-key.revoked, redecode.*"
        value={others}
        onChange={(event) => setOthers(event.currentTarget.value)}
      />
      {messages && (
        <TextInput
          label="Topics"
          description="Filters with commas between; empty: all."
          placeholder="devices/+/telemetry"
          value={filters}
          onChange={(event) => setFilters(event.currentTarget.value)}
          error={problem?.of("topic_filters")}
        />
      )}
      <Checkbox
        label="In order for each device: one call at a time"
        checked={ordered}
        onChange={(event) => setOrdered(event.currentTarget.checked)}
      />
      {problem && !problem.errors.length && <ProblemAlert error={problem} />}
      <Button
        type="submit"
        fullWidth
        loading={creating.isPending}
        disabled={events.length + commas(others).length === 0}
      >
        Create
      </Button>
    </form>
  );
}
