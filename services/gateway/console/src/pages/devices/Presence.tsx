import { Status } from "@/ui/Status";

/** Whether a device is there, as far as anybody said. */
export function Presence({ online }: { online: boolean | null | undefined }) {
  if (online === true) return <Status tone="good">Online</Status>;
  if (online === false) return <Status tone="idle">Offline</Status>;
  return <Status tone="idle">Not known</Status>;
}
