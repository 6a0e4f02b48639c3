import { Button, Modal, NumberInput, Select, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
import { ProblemAlert } from "@/ui/Feedback";
import css from "@/ui/List.module.css";
import { done } from "@/ui/toasts";
import { type Condition, KINDS, type Kind, type Severity } from "./words";

export function NewRule({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title="New alert rule"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <RuleForm onClose={onClose} />
    </Modal>
  );
}

interface Form {
  name: string;
  kind: Kind;
  severity: Severity;
  metric: string;
  operator: ">" | ">=" | "<" | "<=";
  value: number;
  hysteresis: number;
  for_s: number;
  count: number;
  scope: "all" | "devices" | "tag";
  devices: string;
  tag: string;
}

const BEGIN: Form = {
  name: "",
  kind: "threshold",
  severity: "warning",
  metric: "",
  operator: ">",
  value: 0,
  hysteresis: 0,
  for_s: 60,
  count: 5,
  scope: "all",
  devices: "",
  tag: "",
};

function RuleForm({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const navigate = useNavigate({ from: "/alerts" });
  const [form, setForm] = useState(BEGIN);
  const set = (change: Partial<Form>) => setForm((held) => ({ ...held, ...change }));
  const creating = useMutation({
    mutationFn: (wanted: Form) =>
      ok(
        api.POST("/v1/alert-rules", {
          body: {
            name: wanted.name.trim(),
            severity: wanted.severity,
            condition: conditionOf(wanted),
            ...(ofDevices(wanted.kind) && { scope: scopeOf(wanted) }),
          },
        }),
      ),
    meta: { shown: true },
    onSuccess: (rule) => {
      done(`${rule.name} is judged from now on`);
      void client.invalidateQueries({ queryKey: ["alert-rules"] });
      onClose();
      void navigate({ search: { tab: "rules" } });
    },
  });
  const problem = creating.error && asProblem(creating.error);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    creating.mutate(form);
  };
  return (
    <form onSubmit={submit} className={css.form}>
      <TextInput
        label="Name"
        placeholder="Boiler too hot"
        required
        maxLength={100}
        data-autofocus
        value={form.name}
        onChange={(event) => set({ name: event.currentTarget.value })}
      />
      <div className={css.row}>
        <Select
          label="When"
          data={Object.entries(KINDS).map(([value, label]) => ({ value, label }))}
          allowDeselect={false}
          value={form.kind}
          onChange={(value) => value && set({ kind: value as Kind })}
        />
        <Select
          label="Severity"
          data={["info", "warning", "critical"]}
          allowDeselect={false}
          value={form.severity}
          onChange={(value) => value && set({ severity: value as Severity })}
        />
      </div>
      <ConditionFields form={form} set={set} />
      {ofDevices(form.kind) && <ScopeFields form={form} set={set} />}
      {problem && <ProblemAlert error={problem} />}
      <Button type="submit" fullWidth loading={creating.isPending}>
        Create
      </Button>
    </form>
  );
}

interface FieldsProps {
  form: Form;
  set: (change: Partial<Form>) => void;
}

function ConditionFields({ form, set }: FieldsProps) {
  const number = (name: "value" | "hysteresis" | "for_s" | "count", label: string, min?: number) => (
    <NumberInput
      label={label}
      min={min}
      value={form[name]}
      onChange={(value) => set({ [name]: Number(value) || 0 })}
    />
  );
  const metric = (
    <TextInput
      label="Metric"
      placeholder="temperature"
      required={form.kind !== "no_data"}
      description={form.kind === "no_data" ? "Empty: nothing at all." : undefined}
      value={form.metric}
      onChange={(event) => set({ metric: event.currentTarget.value })}
    />
  );
  switch (form.kind) {
    case "threshold":
      return (
        <>
          <div className={css.row}>
            {metric}
            <Select
              label="Is"
              data={[">", ">=", "<", "<="]}
              allowDeselect={false}
              value={form.operator}
              onChange={(value) => value && set({ operator: value as Form["operator"] })}
            />
            {number("value", "Limit")}
          </div>
          <div className={css.row}>
            {number("for_s", "For, in seconds", 0)}
            {number("hysteresis", "Over when back by", 0)}
          </div>
        </>
      );
    case "rate_of_change":
      return (
        <div className={css.row}>
          {metric}
          {number("value", "Changes by", 0)}
          {number("for_s", "Within seconds", 1)}
        </div>
      );
    case "no_data":
      return (
        <div className={css.row}>
          {metric}
          {number("for_s", "For, in seconds", 10)}
        </div>
      );
    case "offline":
    case "link":
      return number("for_s", "For, in seconds", 0);
    default:
      return (
        <div className={css.row}>
          {number("count", "So many", 1)}
          {number("for_s", "Within seconds", 10)}
        </div>
      );
  }
}

function ScopeFields({ form, set }: FieldsProps) {
  return (
    <div className={css.row}>
      <Select
        label="Of"
        data={[
          { value: "all", label: "All devices" },
          { value: "devices", label: "These devices" },
          { value: "tag", label: "Devices with a tag" },
        ]}
        allowDeselect={false}
        value={form.scope}
        onChange={(value) => value && set({ scope: value as Form["scope"] })}
      />
      {form.scope === "devices" && (
        <TextInput
          label="Device ids"
          description="With commas between"
          required
          value={form.devices}
          onChange={(event) => set({ devices: event.currentTarget.value })}
        />
      )}
      {form.scope === "tag" && (
        <TextInput
          label="Tag"
          required
          value={form.tag}
          onChange={(event) => set({ tag: event.currentTarget.value })}
        />
      )}
    </div>
  );
}

const ofDevices = (kind: Kind): boolean =>
  ["threshold", "rate_of_change", "no_data", "offline"].includes(kind);

function conditionOf(form: Form): Condition {
  const metric = form.metric.trim();
  switch (form.kind) {
    case "threshold":
      return {
        kind: "threshold",
        metric,
        operator: form.operator,
        value: form.value,
        hysteresis: form.hysteresis,
        for_s: form.for_s,
      };
    case "rate_of_change":
      return {
        kind: "rate_of_change",
        metric,
        change: form.value,
        per_s: form.for_s,
        direction: "either",
        for_s: 0,
      };
    case "no_data":
      return { kind: "no_data", for_s: form.for_s, metric: metric || null };
    case "offline":
      return { kind: "offline", for_s: form.for_s };
    case "link":
      return { kind: "link", states: ["down", "refused"], for_s: form.for_s, integration_ids: [] };
    case "refused_connects":
      return { kind: "refused_connects", count: form.count, window_s: form.for_s, credential_id: null };
    case "dead_letters":
      return { kind: "dead_letters", count: form.count, window_s: form.for_s, integration_id: null };
  }
}

function scopeOf(form: Form) {
  if (form.scope === "tag") return { kind: "tag" as const, tag: form.tag.trim() };
  if (form.scope === "all") return { kind: "all" as const };
  const device_ids = form.devices
    .split(",")
    .map((each) => each.trim())
    .filter(Boolean);
  return { kind: "devices" as const, device_ids };
}
