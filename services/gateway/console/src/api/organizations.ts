import { useQuery } from "@tanstack/react-query";
import { all, api, ok } from "./client";

/** All organizations, for the operator. */
export function useOrganizations(enabled: boolean) {
  return useQuery({
    queryKey: ["session", "organizations"], // stays when the operator turns to another one
    queryFn: () =>
      all((cursor) => ok(api.GET("/v1/organizations", { params: { query: { limit: 1000, cursor } } }))),
    enabled,
    staleTime: 30_000,
  });
}
