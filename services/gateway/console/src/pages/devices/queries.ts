import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import type { LiveMessage } from "@/pages/live/message";
import { intervalOf, type Range, timesOf } from "./range";

export interface Wanted {
  q?: string;
  online?: "true" | "false";
  tag?: string;
  sort?: "name" | "-last_seen";
}

const PAGE = 500;

/** A page at a time, as far as somebody scrolls. */
export const devicesQuery = ({ q, online, tag, sort }: Wanted) =>
  infiniteQueryOptions({
    queryKey: ["devices", "list", q, online, tag, sort],
    queryFn: ({ pageParam }) =>
      ok(
        api.GET("/v1/devices", {
          params: {
            query: {
              q,
              online,
              tag: tag ? [tag] : undefined,
              sort,
              limit: PAGE,
              cursor: pageParam || undefined,
            },
          },
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor,
    staleTime: 30_000,
  });

export const deviceQuery = (id: string) =>
  queryOptions({
    queryKey: ["devices", id],
    queryFn: () => ok(api.GET("/v1/devices/{id}", { params: { path: { id } } })),
    refetchInterval: 15_000,
  });

/** Numbers over time: average, least and greatest of each step. */
export const seriesQuery = (id: string, range: Range) =>
  queryOptions({
    queryKey: ["devices", id, "series", range],
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

export const messagesQuery = (id: string) =>
  queryOptions({
    queryKey: ["devices", id, "messages"],
    queryFn: async () => {
      const query = { device_id: id, limit: 200 };
      const page = await ok(api.GET("/v1/messages", { params: { query } }));
      return page.items as LiveMessage[];
    },
    refetchInterval: 5000,
  });

const UNDER_WAY = new Set(["queued", "sent", "delivered"]);

export const commandsQuery = (id: string) =>
  queryOptions({
    queryKey: ["devices", id, "commands"],
    queryFn: () =>
      ok(api.GET("/v1/devices/{id}/commands", { params: { path: { id }, query: { limit: 50 } } })),
    refetchInterval: (query) =>
      query.state.data?.items.some((each) => UNDER_WAY.has(each.state)) ? 1000 : 10_000,
  });
