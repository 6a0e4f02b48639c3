import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { all, api, ok } from "@/api/client";
import type { CredentialView } from "@/api/schema";

export interface CredentialsSearch {
  q?: string;
  state?: CredentialView["state"];
}

const PAGE = 500;

/** Newest first: who has just made one looks for it. A page at a time, as far as somebody scrolls. */
export const credentialsQuery = ({ q, state }: CredentialsSearch) =>
  infiniteQueryOptions({
    queryKey: ["credentials", "list", q, state],
    queryFn: ({ pageParam }) =>
      ok(
        api.GET("/v1/credentials", {
          params: { query: { q, state, sort: "-created_at", limit: PAGE, cursor: pageParam || undefined } },
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor,
    // the times of last use go on; of a fleet they are read when somebody comes back to it
    refetchInterval: (query) => ((query.state.data?.pages.length ?? 0) < 2 ? 15_000 : false),
  });

export const credentialQuery = (id: string) =>
  queryOptions({
    queryKey: ["credentials", id],
    queryFn: () => ok(api.GET("/v1/credentials/{id}", { params: { path: { id } } })),
  });

export const historyQuery = (id: string) =>
  queryOptions({
    queryKey: ["credentials", id, "history"],
    queryFn: () =>
      all((cursor) =>
        ok(
          api.GET("/v1/credentials/{id}/history", {
            params: { path: { id }, query: { limit: 1000, cursor } },
          }),
        ),
      ),
  });

export const connectionsQuery = (id: string, everyMs = 3000) =>
  queryOptions({
    queryKey: ["credentials", id, "connections"],
    queryFn: () => ok(api.GET("/v1/credentials/{id}/connections", { params: { path: { id } } })),
    refetchInterval: everyMs,
  });
