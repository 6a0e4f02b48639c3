import type { LinkStatus } from "@/api/schema";
import { Status, type Tone } from "@/ui/Status";

const SHOWN: Record<LinkStatus["state"], [Tone, string]> = {
  up: ["good", "Connected"],
  connecting: ["warn", "Connecting"],
  degraded: ["warn", "In trouble"],
  refused: ["bad", "Refused"],
  paused: ["idle", "Paused"],
};

/** Of a link that may not have told yet. */
export function LinkState({ status }: { status: LinkStatus | undefined }) {
  if (!status) return <Status tone="idle">Asking</Status>;
  // What was tried and failed is more than not yet tried.
  const failing = status.state === "connecting" && status.reason && status.reason !== "link.down";
  const [tone, words]: [Tone, string] = failing ? ["bad", "Not connected"] : SHOWN[status.state];
  return (
    <Status tone={tone} pulse={status.state === "connecting"}>
      {words}
    </Status>
  );
}
