import { queryOptions } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import { LINK_KINDS, MINUTES } from "./past";

const EVERY_MS = 3000;
// What happened moves a chart by the minute; the numbers above it are asked for by themselves
const PAST_MS = 30_000;
const MOST = 1000;
const DEVICES_FEW = 10_000;
export const ALERTS_MOST = 200;

const hourAgo = () => new Date(Date.now() - MINUTES * 60_000).toISOString();

export const hourQuery = queryOptions({
  queryKey: ["stats", "hour"],
  queryFn: () =>
    ok(
      api.GET("/v1/stats", {
        params: {
          query: {
            interval: "1m",
            counter: ["messages", "errors", "refusals", "dead_letters"],
            from: hourAgo(),
          },
        },
      }),
    ),
  refetchInterval: EVERY_MS,
});

export const presenceQuery = queryOptions({
  queryKey: ["presence", "hour"],
  queryFn: () => ok(api.GET("/v1/presence", { params: { query: { interval: "1m", from: hourAgo() } } })),
  // Counting many takes a while
  refetchInterval: ({ state }) => EVERY_MS * ((state.data?.now.devices ?? 0) > DEVICES_FEW ? 10 : 2),
});

export const brokersQuery = queryOptions({
  queryKey: ["integrations"],
  queryFn: () => ok(api.GET("/v1/integrations", { params: { query: { limit: MOST } } })),
  refetchInterval: EVERY_MS * 5,
});

export const brokerStatusQuery = (id: string) =>
  queryOptions({
    queryKey: ["integrations", id, "status"],
    queryFn: () => ok(api.GET("/v1/integrations/{id}/status", { params: { path: { id } } })),
    refetchInterval: EVERY_MS,
  });

/** What happened to links in the last hour, newest first. */
export const linkStepsQuery = queryOptions({
  queryKey: ["activity", "links", "hour"],
  queryFn: () =>
    ok(api.GET("/v1/activity", { params: { query: { kind: LINK_KINDS, from: hourAgo(), limit: MOST } } })),
  refetchInterval: PAST_MS,
});

export const openAlertsQuery = queryOptions({
  queryKey: ["alerts", "open"],
  queryFn: () => ok(api.GET("/v1/alerts", { params: { query: { state: "open", limit: MOST } } })),
  refetchInterval: EVERY_MS * 2,
});

/** The newest alerts, however they are now. */
export const lateAlertsQuery = queryOptions({
  queryKey: ["alerts", "newest"],
  queryFn: () => ok(api.GET("/v1/alerts", { params: { query: { limit: ALERTS_MOST } } })),
  refetchInterval: PAST_MS,
});
