import { Autocomplete, Checkbox, NumberInput, Select, TagsInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ok } from "@/api/client";
import { useSession } from "@/api/session";
import css from "@/ui/List.module.css";
import type { Form, LinkState } from "./form";

interface FieldsProps {
  form: Form;
  set: (change: Partial<Form>) => void;
}

const OPERATORS = [
  { value: ">", label: "above (>)" },
  { value: ">=", label: "at or above (≥)" },
  { value: "<", label: "below (<)" },
  { value: "<=", label: "at or below (≤)" },
];
const DIRECTIONS = [
  { value: "either", label: "up or down" },
  { value: "rising", label: "up" },
  { value: "falling", label: "down" },
];

/** What is looked for; each kind has fields of its own. */
export function ConditionFields({ form, set }: FieldsProps) {
  const number = (name: NumberName, label: string, more: { min?: number; description?: string } = {}) => (
    <NumberInput
      label={label}
      {...more}
      value={form[name]}
      onChange={(value) => set({ [name]: Number(value) || 0 })}
    />
  );
  const lasting = number("for_s", "For, in seconds", { min: 0 });
  switch (form.kind) {
    case "threshold":
      return (
        <>
          <div className={css.row}>
            <MetricField form={form} set={set} />
            <Select
              label="Is"
              data={OPERATORS}
              value={form.operator}
              onChange={(value) => value && set({ operator: value as Form["operator"] })}
            />
            {number("value", "Limit")}
          </div>
          <div className={css.row}>
            {lasting}
            {number("hysteresis", "Over when back by", { min: 0 })}
          </div>
        </>
      );
    case "rate_of_change":
      return (
        <>
          <div className={css.row}>
            <MetricField form={form} set={set} />
            <Select
              label="Goes"
              data={DIRECTIONS}
              value={form.direction}
              onChange={(value) => value && set({ direction: value as Form["direction"] })}
            />
          </div>
          <div className={css.row}>
            {number("change", "By at least", { min: 0 })}
            {number("per_s", "Within, in seconds", { min: 1 })}
            {lasting}
          </div>
        </>
      );
    case "no_data":
      return (
        <div className={css.row}>
          <MetricField form={form} set={set} />
          {number("for_s", "For, in seconds", { min: 10 })}
        </div>
      );
    case "offline":
      return lasting;
    case "link":
      return (
        <>
          <Checkbox.Group
            label="Its link is"
            value={form.states}
            onChange={(states) => set({ states: states as LinkState[] })}
          >
            <div className={css.row}>
              <Checkbox value="down" label="down" />
              <Checkbox value="refused" label="refused" />
              <Checkbox value="degraded" label="degraded" />
            </div>
          </Checkbox.Group>
          {lasting}
        </>
      );
    default:
      return (
        <div className={css.row}>
          {number("count", "So many", { min: 1 })}
          {number("window_s", "Within, in seconds", { min: 10 })}
        </div>
      );
  }
}

type NumberName = "value" | "hysteresis" | "change" | "per_s" | "for_s" | "count" | "window_s";

/** The names that were sent are proposed; another one may come later. */
function MetricField({ form, set }: FieldsProps) {
  const reads = useSession().can("read");
  const known = useQuery({
    queryKey: ["metrics", "names"],
    queryFn: () => ok(api.GET("/v1/metrics", { params: { query: { limit: 1000 } } })),
    enabled: reads,
  });
  const silent = form.kind === "no_data";
  return (
    <Autocomplete
      label="Metric"
      placeholder={silent ? "anything" : "temperature"}
      required={!silent}
      data={(known.data?.items ?? []).map((each) => each.name)}
      limit={20}
      value={form.metric}
      onChange={(metric) => set({ metric })}
    />
  );
}

const FOUND = 20;

/** Which devices it is about. */
export function ScopeFields({ form, set }: FieldsProps) {
  const [wanted, setWanted] = useState("");
  const [q] = useDebouncedValue(wanted, 250);
  const reads = useSession().can("read");
  const found = useQuery({
    queryKey: ["devices", "found", q],
    queryFn: () => ok(api.GET("/v1/devices", { params: { query: { q: q || undefined, limit: FOUND } } })),
    enabled: reads && form.scope !== "all",
    placeholderData: (before) => before,
  });
  const devices = found.data?.items ?? [];
  const tags = [...new Set(devices.flatMap((each) => each.tags ?? []))];
  return (
    <div className={css.row}>
      <Select
        label="Of"
        data={[
          { value: "all", label: "all devices" },
          { value: "devices", label: "these devices" },
          { value: "tag", label: "devices with a tag" },
        ]}
        value={form.scope}
        onChange={(value) => value && set({ scope: value as Form["scope"] })}
      />
      {form.scope === "devices" && (
        <TagsInput
          label="Devices"
          placeholder={form.devices.length ? "" : "boiler-7"}
          data={devices.map((each) => each.id)}
          maxTags={100}
          searchValue={wanted}
          onSearchChange={setWanted}
          value={form.devices}
          onChange={(ids) => set({ devices: ids })}
          acceptValueOnBlur
        />
      )}
      {form.scope === "tag" && (
        <Autocomplete
          label="Tag"
          placeholder="north"
          required
          data={tags}
          value={form.tag}
          onChange={(tag) => set({ tag })}
        />
      )}
    </div>
  );
}
