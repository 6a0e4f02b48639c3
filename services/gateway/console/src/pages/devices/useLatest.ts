import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import type { DeviceDetail } from "@/api/schema";
import { useSession } from "@/api/session";
import { useLiveStream } from "@/api/stream";
import type { Sample } from "@/pages/live/message";
import { deviceQuery, seriesKey } from "./queries";
import type { Range } from "./range";

const EVERY_MS = 200; // a device may send hundreds a second
const STORED_MS = 300; // after which what was told can be asked for
const DRAWN_MS = 5000; // at most so often

/** Values and presence as they come, between two askings. */
export function useLatest(id: string): void {
  const client = useQueryClient();
  const session = useSession();
  const heard = useRef<((before: DeviceDetail) => DeviceDetail)[]>([]);
  const timer = useRef<number>(undefined);
  const redraw = useRedraw(client, id);
  useEffect(
    () => () => {
      window.clearTimeout(timer.current);
      timer.current = undefined;
      heard.current = [];
    },
    [],
  );
  const wanted = new URLSearchParams([
    ["kind", "readings"],
    ["kind", "presence"],
    ["device_id", id],
  ]);
  useLiveStream(session.can("read") ? `/v1/stream?${wanted}` : null, ({ event, data }) => {
    if (event === "presence") heard.current.push(withPresence(data as Heard));
    else if (event === "readings") {
      heard.current.push(withReadings(data as Came));
      redraw();
    } else return;
    timer.current ??= window.setTimeout(() => {
      timer.current = undefined;
      apply(client, id, heard.current.splice(0));
    }, EVERY_MS);
  });
}

/** Has the charts that end now asked for again: soon after a first reading, and some seconds apart while more come. */
function useRedraw(client: QueryClient, id: string): () => void {
  const held = useRef<{ at: number; timer: number | undefined }>({ at: 0, timer: undefined });
  useEffect(() => () => window.clearTimeout(held.current.timer), []);
  return () => {
    const waitMs = Math.max(STORED_MS, held.current.at + DRAWN_MS - Date.now());
    held.current.timer ??= window.setTimeout(() => {
      held.current = { at: Date.now(), timer: undefined };
      void client.invalidateQueries({
        queryKey: seriesKey(id),
        predicate: ({ queryKey }) => Boolean((queryKey.at(-1) as Range).last),
      });
    }, waitMs);
  };
}

function apply(client: QueryClient, id: string, changes: ((before: DeviceDetail) => DeviceDetail)[]): void {
  client.setQueryData(
    deviceQuery(id).queryKey,
    (before) => before && changes.reduce((held, change) => change(held), before),
  );
}

interface Heard {
  online: boolean;
  at: string;
}

interface Came {
  readings: Sample[];
  received_at: string;
}

const withPresence =
  ({ online, at }: Heard) =>
  (before: DeviceDetail): DeviceDetail => ({
    ...before,
    online,
    ...(online ? { online_since: at } : { offline_since: at }),
  });

const withReadings =
  ({ readings, received_at }: Came) =>
  (before: DeviceDetail): DeviceDetail => ({
    ...before,
    last_seen: received_at,
    messages: (before.messages ?? 0) + 1,
    latest: merged(before.latest, readings),
  });

function merged(before: DeviceDetail["latest"], samples: Sample[]): DeviceDetail["latest"] {
  const latest = { ...before };
  for (const { metrics, units, timestamp } of samples)
    for (const [metric, value] of Object.entries(metrics)) {
      const held = latest[metric];
      if (held && Date.parse(held.timestamp) > Date.parse(timestamp)) continue;
      latest[metric] = { value, unit: units[metric] ?? held?.unit ?? null, timestamp };
    }
  return latest;
}
