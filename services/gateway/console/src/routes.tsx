import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
  retainSearchParams,
} from "@tanstack/react-router";
import { actFor } from "./api/client";
import { queryClient } from "./api/queries";
import { asSegment, fromSegment } from "./api/segments";
import { sessionQuery } from "./api/session";
import type { ActivitySearch } from "./pages/activity/Activity";
import type { AlertsSearch } from "./pages/alerts/Alerts";
import type { CredentialsSearch } from "./pages/credentials/queries";
import type { DeadLettersSearch } from "./pages/deadletters/DeadLetters";
import type { Wanted } from "./pages/devices/queries";
import { BY, type LimitsSearch, SPANS } from "./pages/limits/spans";
import type { DeliveryState } from "./pages/webhooks/Deliveries";
import { NotFound, PageFailed, PagePending } from "./shell/fallbacks";
import { Shell } from "./shell/Shell";

const oneOf = <T extends string>(known: readonly T[], value: unknown): T | undefined =>
  known.find((each) => each === value);

const keysOf = <T extends string>(record: Record<T, unknown>): T[] => Object.keys(record) as T[];

/** An id of digits alone, in an address that somebody wrote, is read as a number. */
const text = (value: unknown): string | undefined =>
  typeof value === "number" ? String(value) : typeof value === "string" && value ? value : undefined;

/** `org`: for which organization the operator acts in this tab; in the address, so that links say it, too. */
const root = createRootRouteWithContext<{ queryClient: QueryClient }>()({
  validateSearch: (search: Record<string, unknown>): { org?: string } => ({ org: text(search.org) }),
  search: { middlewares: [retainSearchParams(["org"])] },
  component: Outlet,
  notFoundComponent: NotFound,
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: (search: Record<string, unknown>): { to?: string } => ({ to: text(search.to) }),
  component: lazyRouteComponent(() => import("./pages/SignIn"), "SignIn"),
});

let actedFor: string | null = null;

/** Everything else is for whoever is signed in. */
const signed = createRoute({
  getParentRoute: () => root,
  id: "signed",
  beforeLoad: async ({ context, search, location }) => {
    const session = await context.queryClient.ensureQueryData(sessionQuery);
    if (!session) throw redirect({ to: "/sign-in", search: { to: location.href } });
    if (session.operator && !search.org && location.pathname !== "/organizations") {
      throw redirect({ to: "/organizations" });
    }
    const organization = session.operator ? (search.org ?? null) : null;
    actFor(organization);
    if (organization !== actedFor) {
      actedFor = organization;
      context.queryClient.removeQueries({ predicate: (query) => query.queryKey[0] !== "session" });
    }
  },
  component: Shell,
});

/** A page per line, each in a file of its own that is loaded when it is opened. See README.md. */
const page = {
  overview: createRoute({
    getParentRoute: () => signed,
    path: "/",
    component: lazyRouteComponent(() => import("./pages/overview/Overview"), "Overview"),
  }),
  organizations: createRoute({
    getParentRoute: () => signed,
    path: "/organizations",
    component: lazyRouteComponent(() => import("./pages/organizations/Organizations"), "Organizations"),
  }),
  credentials: createRoute({
    getParentRoute: () => signed,
    path: "/credentials",
    validateSearch: (search: Record<string, unknown>): CredentialsSearch & { new?: boolean } => ({
      new: search.new === true || undefined,
      q: text(search.q),
      state: oneOf(["active", "expired", "revoked"], search.state),
    }),
    component: lazyRouteComponent(() => import("./pages/credentials/Credentials"), "Credentials"),
  }),
  credentialsImport: createRoute({
    getParentRoute: () => signed,
    path: "/credentials/import",
    component: lazyRouteComponent(() => import("./pages/credentials/bulk/Import"), "Import"),
  }),
  credential: createRoute({
    getParentRoute: () => signed,
    path: "/credentials/$id",
    validateSearch: (search: Record<string, unknown>): { tab?: string } => ({ tab: text(search.tab) }),
    component: lazyRouteComponent(() => import("./pages/credentials/Credential"), "Credential"),
  }),
  apiKeys: createRoute({
    getParentRoute: () => signed,
    path: "/api-keys",
    component: lazyRouteComponent(() => import("./pages/keys/ApiKeys"), "ApiKeys"),
  }),
  limits: createRoute({
    getParentRoute: () => signed,
    path: "/limits",
    validateSearch: (search: Record<string, unknown>): LimitsSearch => ({
      span: oneOf(keysOf(SPANS), search.span),
      by: oneOf(keysOf(BY), search.by),
    }),
    component: lazyRouteComponent(() => import("./pages/limits/Limits"), "Limits"),
  }),
  data: createRoute({
    getParentRoute: () => signed,
    path: "/data",
    validateSearch: (search: Record<string, unknown>): { device?: string } => ({
      device: text(search.device),
    }),
    component: lazyRouteComponent(() => import("./pages/data/Data"), "Data"),
  }),
  activity: createRoute({
    getParentRoute: () => signed,
    path: "/activity",
    validateSearch: (search: Record<string, unknown>): ActivitySearch => ({
      q: text(search.q),
      kind: text(search.kind),
      status: oneOf(["ok", "failed", "refused"], search.status),
      direction: oneOf(["in", "out", "own"], search.direction),
      device: text(search.device),
      integration: text(search.integration),
      credential: text(search.credential),
      actor: text(search.actor),
      from: text(search.from),
      to: text(search.to),
      entry: text(search.entry),
    }),
    component: lazyRouteComponent(() => import("./pages/activity/Activity"), "Activity"),
  }),
  deadLetters: createRoute({
    getParentRoute: () => signed,
    path: "/dead-letters",
    validateSearch: (search: Record<string, unknown>): DeadLettersSearch => ({
      state: search.state === "resolved" || search.state === "discarded" ? search.state : undefined,
      reason: text(search.reason),
      letter: text(search.letter),
    }),
    component: lazyRouteComponent(() => import("./pages/deadletters/DeadLetters"), "DeadLetters"),
  }),
  alerts: createRoute({
    getParentRoute: () => signed,
    path: "/alerts",
    validateSearch: (search: Record<string, unknown>): AlertsSearch => ({
      tab: oneOf(["all", "rules"], search.tab),
      severity: oneOf(["info", "warning", "critical"], search.severity),
      device: text(search.device),
      of: text(search.of),
      rule: text(search.rule),
    }),
    component: lazyRouteComponent(() => import("./pages/alerts/Alerts"), "Alerts"),
  }),
  alert: createRoute({
    getParentRoute: () => signed,
    path: "/alerts/$id",
    component: lazyRouteComponent(() => import("./pages/alerts/Alert"), "Alert"),
  }),
  webhooks: createRoute({
    getParentRoute: () => signed,
    path: "/webhooks",
    component: lazyRouteComponent(() => import("./pages/webhooks/Webhooks"), "Webhooks"),
  }),
  webhook: createRoute({
    getParentRoute: () => signed,
    path: "/webhooks/$id",
    validateSearch: (search: Record<string, unknown>): { state?: DeliveryState } => ({
      state: oneOf(["pending", "waiting", "delivered", "dead"], search.state),
    }),
    component: lazyRouteComponent(() => import("./pages/webhooks/Webhook"), "Webhook"),
  }),
  redecode: createRoute({
    getParentRoute: () => signed,
    path: "/redecode",
    validateSearch: (search: Record<string, unknown>): { integration?: string } => ({
      integration: text(search.integration),
    }),
    component: lazyRouteComponent(() => import("./pages/redecode/Redecode"), "Redecode"),
  }),
  integrations: createRoute({
    getParentRoute: () => signed,
    path: "/integrations",
    validateSearch: (search: Record<string, unknown>): { show?: string } => ({ show: text(search.show) }),
    component: lazyRouteComponent(() => import("./pages/integrations/Integrations"), "Integrations"),
  }),
  newIntegration: createRoute({
    getParentRoute: () => signed,
    path: "/integrations/new",
    component: lazyRouteComponent(() => import("./pages/integrations/NewIntegration"), "NewIntegration"),
  }),
  integration: createRoute({
    getParentRoute: () => signed,
    path: "/integrations/$id",
    validateSearch: (search: Record<string, unknown>): { tab?: string; letter?: string } => ({
      tab: text(search.tab),
      letter: text(search.letter),
    }),
    component: lazyRouteComponent(() => import("./pages/integrations/Integration"), "Integration"),
  }),
  live: createRoute({
    getParentRoute: () => signed,
    path: "/live",
    validateSearch: (search: Record<string, unknown>): { topic?: string; device?: string; tab?: string } => ({
      topic: text(search.topic),
      device: text(search.device),
      tab: text(search.tab),
    }),
    component: lazyRouteComponent(() => import("./pages/live/Live"), "Live"),
  }),
  devices: createRoute({
    getParentRoute: () => signed,
    path: "/devices",
    validateSearch: (search: Record<string, unknown>): Wanted => ({
      q: text(search.q),
      online: oneOf(["true", "false"], String(search.online)),
      tag: text(search.tag),
      sort: oneOf(["name", "-last_seen"], search.sort),
      hidden: oneOf(["all", "true"], String(search.hidden)),
    }),
    component: lazyRouteComponent(() => import("./pages/devices/Devices"), "Devices"),
  }),
  device: createRoute({
    getParentRoute: () => signed,
    path: "/devices/$id",
    params: {
      parse: ({ id }: { id: string }) => ({ id: fromSegment(id) }),
      stringify: ({ id }: { id: string }) => ({ id: asSegment(id) }),
    },
    validateSearch: (
      search: Record<string, unknown>,
    ): { tab?: string; range?: string; from?: string; to?: string; as?: string } => ({
      tab: text(search.tab),
      range: text(search.range),
      from: text(search.from),
      to: text(search.to),
      as: text(search.as),
    }),
    component: lazyRouteComponent(() => import("./pages/devices/Device"), "Device"),
  }),
};

export const router = createRouter({
  routeTree: root.addChildren([signIn, signed.addChildren(Object.values(page))]),
  basepath: "/console",
  context: { queryClient },
  defaultPreload: "intent",
  defaultPreloadStaleTime: 0,
  defaultErrorComponent: PageFailed,
  defaultPendingComponent: PagePending,
  defaultPendingMs: 300,
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
