import { Button, Checkbox, Select, TagsInput, TextInput } from "@mantine/core";
import { type UseMutationResult, useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { asProblem, type Problem } from "@/api/problem";
import type { WebhookView } from "@/api/schema";
import { integrationsQuery } from "@/pages/integrations/queries";
import { ProblemAlert } from "@/ui/Feedback";
import css from "@/ui/List.module.css";
import { parted } from "@/ui/parted";
import { type Header, HeadersField, headersOf } from "./HeadersField";

const EVENTS = [
  { value: "alert.*", label: "Alerts" },
  { value: "link.*", label: "Links of brokers" },
  { value: "device.*", label: "Devices that come, go or are refused" },
  { value: "credential.*", label: "Changes of credentials" },
  { value: "message", label: "Messages of devices" },
];

const DEVICES_MAX = 100;
const SHOWN = [
  "name",
  "url",
  "events",
  "integration_id",
  "topic_filters",
  "device_ids",
  "ordered",
  "headers",
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
  integration_id: string | null;
  topic_filters: string[];
  device_ids: string[];
  ordered: boolean;
  headers?: Record<string, string>;
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
  const [integration, setIntegration] = useState(held?.integration_id ?? null);
  const [devices, setDevices] = useState<string[]>(held?.device_ids ?? []);
  const kept = held?.headers ?? [];
  const [headers, setHeaders] = useState<Header[] | undefined>(kept.length ? undefined : []);
  const integrations = useQuery(integrationsQuery).data ?? [];
  const [ordered, setOrdered] = useState(held?.ordered ?? false);
  const messages = events.includes("message");
  const problem = saving.error && asProblem(saving.error);
  const wished = headers && headersOf(headers);
  const body: WebhookBody = {
    name: name.trim(),
    url: url.trim(),
    events: [...events, ...commas(others)],
    integration_id: integration,
    topic_filters: messages ? commas(filters) : [],
    device_ids: devices,
    ordered,
    headers: wished,
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    saving.mutate(body);
  };
  const elsewhere = problem?.errors.every((each) => !SHOWN.includes(each.field.split(".")[0] ?? ""));
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
      <Checkbox.Group
        label="It hears"
        value={events}
        onChange={setEvents}
        error={others ? undefined : problem?.of("events")}
      >
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
        error={others ? itemError(problem, "events", saving.variables?.events) : undefined}
      />
      {messages && (
        <TextInput
          label="Topics"
          description="Filters with commas between; empty: all."
          placeholder="devices/+/telemetry"
          value={filters}
          onChange={(event) => setFilters(event.currentTarget.value)}
          error={itemError(problem, "topic_filters", saving.variables?.topic_filters)}
        />
      )}
      <Select
        label="Integration"
        description="What comes by this one alone"
        placeholder="Any"
        clearable
        data={integrations.map((each) => ({ value: each.id, label: each.name }))}
        value={integration}
        onChange={setIntegration}
        error={problem?.of("integration_id")}
      />
      <TagsInput
        label="Devices"
        description="What is of these alone; Enter or a comma ends an id. Empty: all."
        placeholder={devices.length ? undefined : "boiler-7"}
        acceptValueOnBlur
        maxTags={DEVICES_MAX}
        value={devices}
        onChange={(next) => setDevices(parted(next))}
        error={itemError(problem, "device_ids", saving.variables?.device_ids)}
      />
      <HeadersField held={kept} rows={headers} onChange={setHeaders} problem={problem} />
      <Checkbox
        label="In order for each device: one call at a time"
        checked={ordered}
        onChange={(event) => setOrdered(event.currentTarget.checked)}
      />
      {problem && elsewhere && <ProblemAlert error={problem} />}
      <Button
        type="submit"
        fullWidth
        loading={saving.isPending}
        disabled={body.events.length === 0 || (headers && !wished)}
      >
        {action}
      </Button>
    </form>
  );
}

/** Of a list that is one field: which of its items, and what is wrong with it. */
function itemError(problem: Problem | null, field: string, sent: string[] | undefined): string | undefined {
  const found = problem?.errors.find((each) => each.field === field || each.field.startsWith(`${field}.`));
  const item = sent?.[Number(found?.field.split(".")[1])];
  return found && [item, found.detail].filter(Boolean).join(": ");
}
