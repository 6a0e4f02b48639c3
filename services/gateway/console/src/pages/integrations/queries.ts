import { queryOptions, useQuery } from "@tanstack/react-query";
import { all, api, ok } from "@/api/client";
import { useSession } from "@/api/session";

export const integrationsQuery = queryOptions({
  queryKey: ["integrations", "all"],
  queryFn: () =>
    all((cursor) => ok(api.GET("/v1/integrations", { params: { query: { limit: 1000, cursor } } }))),
  refetchInterval: 15_000,
});

export const integrationQuery = (id: string) =>
  queryOptions({
    queryKey: ["integrations", id],
    queryFn: () => ok(api.GET("/v1/integrations/{id}", { params: { path: { id } } })),
  });

export const statusQuery = (id: string) =>
  queryOptions({
    queryKey: ["integrations", id, "status"],
    queryFn: () => ok(api.GET("/v1/integrations/{id}/status", { params: { path: { id } } })),
    refetchInterval: 2000,
  });

export const presetsQuery = queryOptions({
  queryKey: ["presets"],
  queryFn: () => ok(api.GET("/v1/integrations/presets")),
  staleTime: Number.POSITIVE_INFINITY,
});

export const decodersQuery = queryOptions({
  queryKey: ["decoders"],
  queryFn: () => ok(api.GET("/v1/decoders")),
  staleTime: Number.POSITIVE_INFINITY,
});

export interface HostedRate {
  per_s: number;
  last_at: string | undefined;
}

const MINUTES = 10;

/** Of the last whole minute; and when the last message came, by the newest one. */
export const hostedRateQuery = queryOptions({
  queryKey: ["integrations", "hosted", "rate"],
  queryFn: async (): Promise<HostedRate> => {
    const from = new Date(Date.now() - MINUTES * 60_000).toISOString();
    const [stats, newest] = await Promise.all([
      ok(
        api.GET("/v1/stats", {
          params: { query: { interval: "1m", from, counter: ["messages"], integration_id: ["hosted"] } },
        }),
      ),
      ok(api.GET("/v1/messages", { params: { query: { integration_id: "hosted", limit: 1 } } })),
    ]);
    return {
      per_s: (stats.items[0]?.values.messages?.at(-2) ?? 0) / 60,
      last_at: newest.items[0]?.received_at,
    };
  },
  refetchInterval: 15_000,
});

/** How people call an integration, by its id; the id itself of one that was deleted, and until the names are known. */
export function useIntegrationNames(): (id: string) => string {
  const enabled = useSession().can("read", "manage_integrations");
  const { data } = useQuery({ ...integrationsQuery, enabled, refetchInterval: false, staleTime: 60_000 });
  const names = new Map(data?.map((each) => [each.id, each.name]));
  return (id) => names.get(id) ?? (id === "http" ? "HTTP" : id);
}

/** The platform's words with the names of integrations in place of their ids. */
export function useIntegrationWords(): (words: string) => string {
  const named = useIntegrationNames();
  return (words) => words.replace(/\bint_[a-z0-9]+\b/g, named);
}
