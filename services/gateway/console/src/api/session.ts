import { queryOptions, useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { ownHeaders, refusal, tellSessionEnded } from "./client";

export type Scope =
  | "read"
  | "publish"
  | "manage_credentials"
  | "manage_integrations"
  | "manage_alerts"
  | "admin";

export interface Session {
  actor: string;
  operator: boolean;
  organization: string | null;
  organization_name: string | null;
  scopes: Scope[];
  expires_at: string;
}

const ADDRESS = "/console/session";

export async function signIn(key: string): Promise<Session> {
  const response = await fetch(ADDRESS, {
    method: "POST",
    headers: { ...ownHeaders(), "content-type": "application/json" },
    body: JSON.stringify({ key }),
  });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

export async function signOut(): Promise<void> {
  const response = await fetch(ADDRESS, { method: "DELETE", headers: ownHeaders() });
  if (!response.ok) throw await refusal(response);
}

/** Null for nobody. One that has ended stays: whoever was signed in is asked to sign in again where they are. */
export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: async ({ client, queryKey }): Promise<Session | null> => {
    const response = await fetch(ADDRESS);
    if (response.status === 204) {
      const held = client.getQueryData<Session | null>(queryKey) ?? null;
      if (held) tellSessionEnded();
      return held;
    }
    if (!response.ok) throw await refusal(response);
    return response.json();
  },
  staleTime: 5 * 60_000,
});

export interface Signed extends Session {
  /** The organization that this tab is about. */
  organization: string;
  /** Whether the key may do what takes one of these scopes. */
  can: (...scopes: Scope[]) => boolean;
}

/** Who is signed in, on a page that only the signed-in see. */
export function useSession(): Signed {
  const { data } = useQuery(sessionQuery);
  const { org } = useSearch({ strict: false }) as { org?: string };
  if (!data) throw new Error("no session on a page that needs one");
  return {
    ...data,
    organization: data.organization ?? org ?? "",
    can: (...scopes) =>
      data.operator || data.scopes.includes("admin") || scopes.some((each) => data.scopes.includes(each)),
  };
}

export const SCOPE_WORDS: Record<Scope, string> = {
  read: "see devices, messages and settings",
  publish: "publish messages and command devices",
  manage_credentials: "issue, rotate and revoke credentials",
  manage_integrations: "connect brokers, choose decoders, mend dead letters",
  manage_alerts: "make alert rules, answer alerts",
  admin: "everything, API keys included",
};
