import { queryOptions } from "@tanstack/react-query";
import { all, api, ok } from "@/api/client";

export const credentialsQuery = queryOptions({
  queryKey: ["credentials"],
  queryFn: () =>
    all((cursor) => ok(api.GET("/v1/credentials", { params: { query: { limit: 1000, cursor } } }))),
  refetchInterval: 15_000,
});

export const credentialQuery = (id: string) =>
  queryOptions({
    queryKey: ["credentials", id],
    queryFn: () => ok(api.GET("/v1/credentials/{id}", { params: { path: { id } } })),
  });

export const connectionsQuery = (id: string, everyMs = 3000) =>
  queryOptions({
    queryKey: ["credentials", id, "connections"],
    queryFn: () => ok(api.GET("/v1/credentials/{id}/connections", { params: { path: { id } } })),
    refetchInterval: everyMs,
  });
