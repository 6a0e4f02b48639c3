import { queryOptions } from "@tanstack/react-query";
import { all, api, ok } from "@/api/client";

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
