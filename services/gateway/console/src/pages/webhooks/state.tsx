import type { WebhookDetail } from "@/api/schema";
import { Status, type Tone } from "@/ui/Status";

const TONES: Record<string, Tone> = { active: "good", healthy: "good", failing: "bad", paused: "warn" };

const PAUSED: Record<string, string> = {
  gone: "the receiver said that it is gone",
  failing: "it failed for days",
  person: "by hand",
};

export function WebhookStatus({
  webhook,
}: {
  webhook: Pick<WebhookDetail, "paused"> & { delivery?: WebhookDetail["delivery"] };
}) {
  const state = webhook.paused ? "paused" : (webhook.delivery?.state ?? "active");
  return <Status tone={TONES[state] ?? "idle"}>{state}</Status>;
}

/** Why it is paused; empty where it is not. */
export function pausedWords(webhook: Pick<WebhookDetail, "paused" | "paused_detail">): string {
  if (!webhook.paused) return "";
  return [PAUSED[webhook.paused] ?? webhook.paused, webhook.paused_detail].filter(Boolean).join(": ");
}
