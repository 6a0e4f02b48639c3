import { useQueries, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { api, ok } from "@/api/client";
import { useHistory } from "@/api/history";
import { useSession } from "@/api/session";
import { count, short } from "@/ui/format";
import { Sparkline } from "@/ui/Sparkline";
import { useIntegrationWords } from "../integrations/queries";
import css from "./Overview.module.css";

const EVERY_MS = 3000;

/** Numbers that move, each a link to what is behind it. */
export function Tiles() {
  const links = useLinks();
  const hour = useHour();
  const online = useOnline();
  const alerts = useAlerts();
  return (
    <div className={css.tiles}>
      <Tile to="/live" label="Messages" figure={hour.rate === null ? "–" : short(hour.rate)} unit="a second">
        <Sparkline values={hour.messages} />
      </Tile>
      <Tile
        to="/devices"
        search={{ online: "true" }}
        label="Devices online"
        figure={online.figure}
        unit="now"
      >
        <Sparkline values={online.history} />
      </Tile>
      <Tile
        to="/activity"
        search={{ status: "failed" }}
        label="Errors"
        figure={hour.total === null ? "–" : short(hour.total)}
        unit="in the last hour"
      >
        <Sparkline values={hour.errors} tone={hour.total ? "bad" : "normal"} />
      </Tile>
      <Tile
        to="/integrations"
        label="Brokers"
        figure={links.figure}
        unit={links.unit}
        trouble={links.trouble}
      >
        <Sparkline values={links.history} tone={links.trouble ? "bad" : "normal"} />
      </Tile>
      <Tile to="/alerts" label="Open alerts" figure={alerts.figure} unit="now" trouble={alerts.worst}>
        <Sparkline values={alerts.history} tone={alerts.worst ? "bad" : "normal"} />
      </Tile>
    </div>
  );
}

const MINUTES = 60;

/** The last hour by the minute; the rate is of the last whole minute, or of what has come of this one. */
function useHour() {
  const query = useQuery({
    queryKey: ["stats", "hour"],
    queryFn: () =>
      ok(
        api.GET("/v1/stats", {
          params: {
            query: {
              interval: "1m",
              counter: ["messages", "errors", "refusals", "dead_letters"],
              from: new Date(Date.now() - MINUTES * 60_000).toISOString(),
            },
          },
        }),
      ),
    refetchInterval: EVERY_MS,
  });
  const values = query.data?.items[0]?.values;
  const of = (name: string): number[] => (values?.[name] as number[] | undefined) ?? [];
  const messages = of("messages");
  const [dead, refused] = [of("dead_letters"), of("refusals")];
  const errors = of("errors").map((n, minute) => n + (dead[minute] ?? 0) + (refused[minute] ?? 0));
  const seconds = Math.max(1, (Date.now() / 1000) % 60);
  const now = messages.at(-1) ?? 0;
  const rate = seconds < 20 ? (now + (messages.at(-2) ?? 0)) / (60 + seconds) : now / seconds;
  return {
    messages: messages.slice(-MINUTES),
    errors: errors.slice(-MINUTES),
    rate: query.data ? rate : null,
    total: query.data ? errors.reduce((sum, n) => sum + n, 0) : null,
  };
}

const SEEN_MOST = 1000;

function useOnline() {
  const { organization } = useSession();
  const query = useQuery({
    queryKey: ["devices", "online"],
    queryFn: () => ok(api.GET("/v1/devices", { params: { query: { online: "true", limit: SEEN_MOST } } })),
    // A long list is asked for less often
    refetchInterval: ({ state }) => EVERY_MS * ((state.data?.items.length ?? 0) > 100 ? 10 : 2),
  });
  const found = query.data?.items.length;
  const history = useHistory(`${organization} online`, found, query.dataUpdatedAt);
  const more = query.data?.next_cursor ? "+" : "";
  return { figure: found === undefined ? "–" : `${count(found)}${more}`, history };
}

function useAlerts() {
  const { organization } = useSession();
  const query = useQuery({
    queryKey: ["alerts", "open"],
    queryFn: () => ok(api.GET("/v1/alerts", { params: { query: { state: "open", limit: 1000 } } })),
    refetchInterval: EVERY_MS * 2,
  });
  const open = query.data?.items;
  const history = useHistory(`${organization} alerts`, open?.length, query.dataUpdatedAt);
  const worst = open?.find((each) => each.severity === "critical") ?? open?.[0];
  const words = useIntegrationWords();
  return { figure: open ? count(open.length) : "–", worst: worst && words(worst.summary), history };
}

interface TileProps {
  to: string;
  search?: Record<string, string>;
  label: string;
  figure: string;
  unit: string;
  /** What is wrong, in a few words. */
  trouble?: string;
  children: ReactNode;
}

function Tile({ to, search, label, figure, unit, trouble, children }: TileProps) {
  return (
    <Link to={to} search={search ?? {}} className={css.tile}>
      <span className={css.label}>{label}</span>
      <span className={css.figure}>
        {figure} <span className={css.unit}>{unit}</span>
      </span>
      <div className={css.chart}>{children}</div>
      {trouble && <span className={css.trouble}>{trouble}</span>}
    </Link>
  );
}

/** External brokers: how many are connected, and which one is in trouble. */
function useLinks() {
  const { organization } = useSession();
  const integrations = useQuery({
    queryKey: ["integrations"],
    queryFn: () => ok(api.GET("/v1/integrations", { params: { query: { limit: 1000 } } })),
    refetchInterval: EVERY_MS * 5,
  });
  const external = integrations.data?.items.filter((each) => each.broker_type === "external") ?? [];
  const statuses = useQueries({
    queries: external.slice(0, 50).map((each) => ({
      queryKey: ["integrations", each.id, "status"],
      queryFn: () => ok(api.GET("/v1/integrations/{id}/status", { params: { path: { id: each.id } } })),
      refetchInterval: EVERY_MS,
    })),
  });
  const known = statuses.flatMap((each) => (each.data ? [each.data] : []));
  const up = known.filter((each) => each.state === "up").length;
  const bad = known.find((each) => each.state === "refused" || each.state === "degraded");
  const name = external.find((each) => each.id === bad?.integration_id)?.name;
  const answeredAt = Math.max(integrations.dataUpdatedAt, ...statuses.map((each) => each.dataUpdatedAt));
  const history = useHistory(`${organization} links`, integrations.data && up, answeredAt);
  if (!integrations.data) return { figure: "–", unit: "", history };
  return {
    figure: String(up),
    unit: external.length ? `of ${external.length} connected` : "of your own",
    trouble: bad && `${name}: ${bad.detail || bad.reason || bad.state}`,
    history,
  };
}
