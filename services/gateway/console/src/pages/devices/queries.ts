import {
  type InfiniteData,
  infiniteQueryOptions,
  type QueryClient,
  queryOptions,
  useQuery,
} from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import type { DeviceCommandView, DeviceRow, DeviceSettings, Erasure } from "@/api/schema";
import { intervalOf, type Range, timesOf } from "./range";

export interface Wanted {
  q?: string;
  online?: "true" | "false";
  tag?: string;
  sort?: "name" | "-last_seen";
  /** `all`: also those that are hidden; `true`: only those. */
  hidden?: "all" | "true";
}

const LISTS = ["devices", "list"];
const PAGE = 500;
const NEW_MS = 10_000; // how soon a device that sends for the first time is in a list of one page

/** A page at a time, as far as somebody scrolls. */
export const devicesQuery = ({ q, online, tag, sort, hidden }: Wanted) =>
  infiniteQueryOptions({
    queryKey: [...LISTS, q, online, tag, sort, hidden],
    queryFn: ({ pageParam }) =>
      ok(
        api.GET("/v1/devices", {
          params: {
            query: {
              q,
              online,
              tag: tag ? [tag] : undefined,
              sort,
              hidden,
              limit: PAGE,
              cursor: pageParam || undefined,
            },
          },
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor,
    staleTime: 30_000,
    refetchInterval: (query) => (query.state.data && query.state.data.pages.length > 1 ? false : NEW_MS),
  });

export const deviceQuery = (id: string) =>
  queryOptions({
    queryKey: ["device", id],
    queryFn: () => ok(api.GET("/v1/devices/{id}", { params: { path: { id } } })),
    refetchInterval: 15_000,
  });

export const seriesKey = (id: string) => ["device", id, "series"];

/** Numbers over time: average, least and greatest of each step. */
export const seriesQuery = (id: string, range: Range) =>
  queryOptions({
    queryKey: [...seriesKey(id), range],
    queryFn: () => {
      const { from, to } = timesOf(range);
      return ok(
        api.GET("/v1/telemetry/series", {
          params: {
            query: {
              device_id: [id],
              from: from.toISOString(),
              to: to.toISOString(),
              interval: intervalOf(from, to),
              aggregate: ["avg", "min", "max"],
              limit: 100,
            },
          },
        }),
      );
    },
    refetchInterval: range.last ? 10_000 : false,
    placeholderData: (before) => before,
  });

/** By whom it was last heard. */
export const lastMessageQuery = (id: string) =>
  queryOptions({
    queryKey: ["device", id, "last-message"],
    queryFn: async () => {
      const query = { device_id: id, limit: 1 };
      return (await ok(api.GET("/v1/messages", { params: { query } }))).items[0] ?? null;
    },
    staleTime: 60_000,
  });

/** What is known of a device that was forgotten: how far its erasure is. */
export const erasureQuery = (id: string) =>
  queryOptions({
    queryKey: ["device", id, "erasure"],
    queryFn: async () => {
      const query = { device_id: id, limit: 1 };
      return (await ok(api.GET("/v1/erasures", { params: { query } }))).items[0] ?? null;
    },
    refetchInterval: (query) => (query.state.data?.state === "done" ? false : 1000),
  });

/** Of a device that is not there, or that was just forgotten here: its rows are gone a moment after the answer. */
export const useErasure = (id: string, isMissing: boolean) =>
  useQuery({ ...erasureQuery(id), enabled: (query) => isMissing || Boolean(query.state.data) });

/** The page of a device that is no more shows its erasure, and no list has it. */
export function forgotten(client: QueryClient, erasure: Erasure): Promise<void> {
  const id = erasure.device_id;
  client.setQueryData(erasureQuery(id).queryKey, erasure);
  return Promise.all([
    client.resetQueries({ queryKey: deviceQuery(id).queryKey, exact: true }),
    client.invalidateQueries({ queryKey: LISTS }),
  ]).then(() => undefined);
}

/**
 * What people said of a device, wherever it is shown: the registry answers for it at once, the lists follow a moment
 * later, and are asked again when they are looked at.
 */
export function described(client: QueryClient, settings: DeviceSettings): Promise<void> {
  const { id } = settings;
  client.setQueryData(deviceQuery(id).queryKey, (before) => before && { ...before, ...settings });
  client.setQueriesData<InfiniteData<{ items: DeviceRow[] }>>({ queryKey: LISTS }, (before) => {
    if (!before) return before;
    const row = (each: DeviceRow) => (each.id === id ? { ...each, ...settings } : each);
    return { ...before, pages: before.pages.map((page) => ({ ...page, items: page.items.map(row) })) };
  });
  return client.invalidateQueries({ queryKey: LISTS, refetchType: "none" });
}

/** Whether something may still become of it: nothing does once it has ended, or its time is over. */
export const underWay = (command: DeviceCommandView): boolean =>
  ["queued", "sent", "delivered"].includes(command.state) &&
  Date.now() < Date.parse(command.expires_at) + LATE_MS;

const LATE_MS = 5000; // that its time is over is an event, too

export const commandsQuery = (id: string) =>
  queryOptions({
    queryKey: ["device", id, "commands"],
    queryFn: () =>
      ok(api.GET("/v1/devices/{id}/commands", { params: { path: { id }, query: { limit: 50 } } })),
    refetchInterval: (query) => (query.state.data?.items.some(underWay) ? 1000 : 10_000),
  });
