import type { AlertRuleView } from "@/api/schema";
import { duration } from "@/ui/format";

export type Condition = AlertRuleView["condition"];
export type Kind = Condition["kind"];
export type Severity = NonNullable<AlertRuleView["severity"]>;

export const KINDS: Record<Kind, string> = {
  threshold: "A value passes a limit",
  rate_of_change: "A value changes too fast",
  no_data: "Nothing comes any more",
  offline: "A device is offline",
  link: "A broker's link is down",
  refused_connects: "Connects are refused",
  dead_letters: "Messages cannot be read",
};

export const STATES = { open: "bad", acknowledged: "warn", resolved: "good" } as const;
export const TONES = { info: "idle", warning: "warn", critical: "bad" } as const;

const lasting = (s: number | undefined): string => (s ? ` for ${duration(s)}` : "");

/** A rule's condition as a sentence. */
export function conditionWords(condition: Condition): string {
  switch (condition.kind) {
    case "threshold":
      return `${condition.metric} ${condition.operator} ${condition.value}${lasting(condition.for_s)}`;
    case "rate_of_change": {
      const way = condition.direction === "either" ? "changes" : `is ${condition.direction}`;
      return `${condition.metric} ${way} by ${condition.change} in ${duration(condition.per_s ?? 60)}`;
    }
    case "no_data":
      return `nothing${condition.metric ? ` of ${condition.metric}` : ""} for ${duration(condition.for_s)}`;
    case "offline":
      return `offline${lasting(condition.for_s)}`;
    case "link":
      return `link ${(condition.states ?? ["down", "refused"]).join(" or ")}${lasting(condition.for_s)}`;
    case "refused_connects":
      return `${condition.count} refused connects within ${duration(condition.window_s)}`;
    case "dead_letters":
      return `${condition.count} dead letters within ${duration(condition.window_s)}`;
  }
}

const OTHERS: Partial<Record<Kind, string>> = {
  link: "brokers",
  refused_connects: "connects",
  dead_letters: "messages",
};

export function scopeWords(condition: Condition, scope: AlertRuleView["scope"]): string {
  const other = OTHERS[condition.kind];
  if (other) return other;
  if (!scope || scope.kind === "all" || scope.kind === undefined) return "all devices";
  return scope.kind === "tag" ? `devices tagged ${scope.tag}` : scope.device_ids.join(", ");
}
