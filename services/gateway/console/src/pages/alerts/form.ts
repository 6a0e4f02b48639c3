import type { AlertRuleView, NewAlertRule } from "@/api/schema";
import type { Condition, Kind, Severity } from "./words";

type Scope = NonNullable<NewAlertRule["scope"]>;
export type LinkState = "down" | "refused" | "degraded";

/** All that a rule of any kind may say; each kind takes what is its own. */
export interface Form {
  name: string;
  kind: Kind;
  severity: Severity;
  cooldown_s: number;
  metric: string;
  operator: ">" | ">=" | "<" | "<=";
  value: number;
  hysteresis: number;
  change: number;
  per_s: number;
  direction: "rising" | "falling" | "either";
  for_s: number;
  count: number;
  window_s: number;
  states: LinkState[];
  scope: "all" | "devices" | "tag";
  devices: string[];
  tag: string;
}

export const BEGIN: Form = {
  name: "",
  kind: "threshold",
  severity: "warning",
  cooldown_s: 0,
  metric: "",
  operator: ">",
  value: 0,
  hysteresis: 0,
  change: 10,
  per_s: 60,
  direction: "either",
  for_s: 60,
  count: 5,
  window_s: 300,
  states: ["down", "refused"],
  scope: "all",
  devices: [],
  tag: "",
};

export const ofDevices = (kind: Kind): boolean =>
  ["threshold", "rate_of_change", "no_data", "offline"].includes(kind);

/** The parts of a rule that decide; what a form does not show stays as `held` has it. */
export function decisionOf(form: Form, held?: AlertRuleView) {
  const condition = conditionOf(form, held?.condition.kind === form.kind ? held.condition : undefined);
  const scope: Scope = ofDevices(form.kind) ? scopeOf(form) : { kind: "all" };
  return { condition, scope, cooldown_s: form.cooldown_s };
}

export function bodyOf(form: Form, held?: AlertRuleView) {
  return { name: form.name.trim(), severity: form.severity, ...decisionOf(form, held) };
}

/** Whether there is enough of it to be judged. */
export function complete(form: Form): boolean {
  const metric =
    form.kind !== "threshold" && form.kind !== "rate_of_change" ? true : form.metric.trim() !== "";
  const change = form.kind !== "rate_of_change" || form.change > 0;
  const states = form.kind !== "link" || form.states.length > 0;
  const scope =
    !ofDevices(form.kind) ||
    (form.scope === "devices" ? form.devices.length > 0 : form.scope !== "tag" || form.tag.trim() !== "");
  return metric && change && states && scope;
}

function conditionOf(form: Form, held?: Condition): Condition {
  const metric = form.metric.trim();
  switch (form.kind) {
    case "threshold": {
      const { operator, value, hysteresis, for_s } = form;
      return { kind: "threshold", metric, operator, value, hysteresis, for_s };
    }
    case "rate_of_change": {
      const { change, per_s, direction, for_s } = form;
      return { kind: "rate_of_change", metric, change, per_s, direction, for_s };
    }
    case "no_data":
      return { kind: "no_data", for_s: Math.max(10, form.for_s), metric: metric || null };
    case "offline":
      return { kind: "offline", for_s: form.for_s };
    case "link": {
      const integration_ids = held?.kind === "link" ? held.integration_ids : [];
      return { kind: "link", states: form.states, for_s: form.for_s, integration_ids };
    }
    case "refused_connects": {
      const credential_id = held?.kind === "refused_connects" ? held.credential_id : null;
      return { kind: "refused_connects", count: form.count, window_s: form.window_s, credential_id };
    }
    case "dead_letters": {
      const integration_id = held?.kind === "dead_letters" ? held.integration_id : null;
      return { kind: "dead_letters", count: form.count, window_s: form.window_s, integration_id };
    }
  }
}

function scopeOf(form: Form): Scope {
  if (form.scope === "tag") return { kind: "tag", tag: form.tag.trim() };
  return form.scope === "devices" ? { kind: "devices", device_ids: form.devices } : { kind: "all" };
}

/** A form that says what the rule says. */
export function formOf(rule: AlertRuleView): Form {
  const { condition, scope } = rule;
  const said = Object.fromEntries(
    Object.entries(condition).filter(([name, value]) => name in BEGIN && value !== null),
  );
  return {
    ...BEGIN,
    ...(said as Partial<Form>),
    for_s: "for_s" in condition ? (condition.for_s ?? 0) : 0,
    kind: condition.kind,
    name: rule.name,
    severity: rule.severity ?? "warning",
    cooldown_s: rule.cooldown_s ?? 0,
    scope: scope?.kind ?? "all",
    devices: scope?.kind === "devices" ? [...scope.device_ids] : [],
    tag: scope?.kind === "tag" ? scope.tag : "",
  };
}
