import { useQueries, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { count, short } from "@/ui/format";
import { Sparkline } from "@/ui/Sparkline";
import { useIntegrationWords } from "../integrations/queries";
import css from "./Overview.module.css";
import { alertsOpen, linksUp, MINUTES, type Past } from "./past";
import {
  ALERTS_MOST,
  brokerStatusQuery,
  brokersQuery,
  hourQuery,
  lateAlertsQuery,
  linkStepsQuery,
  openAlertsQuery,
  presenceQuery,
} from "./queries";

/** Numbers that move, each a link to what is behind it. */
export function Tiles() {
  const links = useLinks();
  const hour = useHour();
  const online = useOnline();
  const alerts = useAlerts();
  return (
    <div className={css.tiles}>
      <Tile
        to="/live"
        label="Messages"
        figure={hour.rate === null ? "–" : short(hour.rate)}
        unit="a second"
        past={hour.messages}
      />
      <Tile
        to="/devices"
        search={{ online: "true" }}
        label="Devices online"
        figure={online.figure}
        unit={online.unit}
        past={online.past}
        span={online.span}
      />
      <Tile
        to="/activity"
        search={{ status: "failed" }}
        label="Errors"
        figure={hour.total === null ? "–" : short(hour.total)}
        unit="in the last hour"
        past={hour.errors}
        bad={Boolean(hour.total)}
      />
      <Tile
        to="/integrations"
        label="Brokers"
        figure={links.figure}
        unit={links.unit}
        trouble={links.trouble}
        past={links.past}
        span={links.span}
        bad={Boolean(links.trouble)}
      />
      <Tile
        to="/alerts"
        label="Open alerts"
        figure={alerts.figure}
        unit="now"
        trouble={alerts.worst}
        past={alerts.past}
        span={alerts.span}
        bad={Boolean(alerts.worst)}
      />
    </div>
  );
}

interface TileProps {
  to: string;
  search?: Record<string, string>;
  label: string;
  figure: string;
  unit: string;
  /** What is wrong, in a few words. */
  trouble?: string;
  past: Past;
  /** Where the chart is not of the whole last hour: of what. */
  span?: string;
  bad?: boolean;
}

function Tile({ to, search, label, figure, unit, trouble, past, span = "last hour", bad }: TileProps) {
  return (
    <Link to={to} search={search ?? {}} className={css.tile}>
      <span className={css.label}>{label}</span>
      <span className={css.figure}>
        {figure} <span className={css.unit}>{unit}</span>
      </span>
      <div className={css.chart}>
        <Sparkline values={past} tone={bad ? "bad" : "normal"} />
      </div>
      <span className={css.span}>{span}</span>
      {trouble && <span className={css.trouble}>{trouble}</span>}
    </Link>
  );
}

/** The last hour by the minute; the rate is of the last whole minute, or of what has come of this one. */
function useHour() {
  const query = useQuery(hourQuery);
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

/** Counted by the server: now exactly, before by the minute. */
function useOnline() {
  const { data } = useQuery(presenceQuery);
  if (!data) return { figure: "–", unit: "now", past: [] };
  const past = data.online.slice(-MINUTES);
  const known = past.findIndex((n) => n !== null);
  const since = data.timestamps.slice(-MINUTES)[known];
  return {
    figure: count(data.now.online),
    unit: data.now.devices ? `of ${count(data.now.devices)}` : "now",
    past,
    span: known > 0 && since ? `counted since ${TIME.format(new Date(since))}` : undefined,
  };
}

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

function useAlerts() {
  const words = useIntegrationWords();
  const open = useQuery(openAlertsQuery).data?.items;
  const late = useQuery(lateAlertsQuery).data;
  const worst = open?.find((each) => each.severity === "critical") ?? open?.[0];
  const known = open &&
    late && [...new Map([...late.items, ...open].map((each) => [each.id, each])).values()];
  return {
    figure: open ? count(open.length) : "–",
    worst: worst && words(worst.summary),
    past: known ? alertsOpen(known, Date.now()) : [],
    span: late?.next_cursor ? `last hour, of the newest ${count(ALERTS_MOST)}` : undefined,
  };
}

const BROKERS_MOST = 50;

/** External brokers: how many are connected, and which one is in trouble. */
function useLinks() {
  const integrations = useQuery(brokersQuery).data;
  const external = integrations?.items.filter((each) => each.broker_type === "external") ?? [];
  const statuses = useQueries({
    queries: external.slice(0, BROKERS_MOST).map((each) => brokerStatusQuery(each.id)),
  });
  const steps = useQuery({ ...linkStepsQuery, enabled: external.length > 0 }).data;
  if (!integrations) return { figure: "–", unit: "", past: [] };
  const known = statuses.flatMap((each) => (each.data ? [each.data] : []));
  const up = new Set(known.filter((each) => each.state === "up").map((each) => each.integration_id));
  const bad = known.find((each) => each.state === "refused" || each.state === "degraded");
  const name = external.find((each) => each.id === bad?.integration_id)?.name;
  const brokers = external.map((each) => ({ ...each, up: up.has(each.id) }));
  const oldest = steps?.next_cursor ? steps.items.at(-1)?.time : undefined;
  const past =
    steps || !external.length
      ? linksUp(brokers, steps?.items ?? [], oldest ? Date.parse(oldest) : 0, Date.now())
      : [];
  return {
    figure: String(up.size),
    unit: external.length ? `of ${external.length} connected` : "of your own",
    trouble: bad && `${name}: ${bad.detail || bad.reason || bad.state}`,
    past,
    span: oldest ? `since ${TIME.format(new Date(oldest))}` : undefined,
  };
}
