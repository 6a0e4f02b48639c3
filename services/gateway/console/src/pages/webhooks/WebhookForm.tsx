import { Button, Checkbox, TextInput } from "@mantine/core";
import type { UseMutationResult } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { asProblem } from "@/api/problem";
import type { WebhookView } from "@/api/schema";
import { ProblemAlert } from "@/ui/Feedback";
import css from "@/ui/List.module.css";

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

export interface WebhookBody {
  name: string;
  url: string;
  events: string[];
  topic_filters: string[];
  ordered: boolean;
}

interface FormProps {
  held?: WebhookView;
  action: string;
  saving: UseMutationResult<unknown, Error, WebhookBody>;
}

export function WebhookForm({ held, action, saving }: FormProps) {
  const known = EVENTS.map((each) => each.value);
  const [name, setName] = useState(held?.name ?? "");
  const [url, setUrl] = useState(held?.url ?? "");
  const [events, setEvents] = useState(
    held ? held.events.filter((each) => known.includes(each)) : ["alert.*"],
  );
  const [others, setOthers] = useState(held?.events.filter((each) => !known.includes(each)).join(", ") ?? "");
  const [filters, setFilters] = useState(held?.topic_filters?.join(", ") ?? "");
  const [ordered, setOrdered] = useState(held?.ordered ?? false);
  const messages = events.includes("message");
  const problem = saving.error && asProblem(saving.error);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    saving.mutate({
      name: name.trim(),
      url: url.trim(),
      events: [...events, ...commas(others)],
      topic_filters: messages ? commas(filters) : [],
      ordered,
    });
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
        loading={saving.isPending}
        disabled={events.length + commas(others).length === 0}
      >
        {action}
      </Button>
    </form>
  );
}
