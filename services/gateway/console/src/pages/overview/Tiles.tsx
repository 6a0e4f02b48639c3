import { useQueries, useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api, ok } from "@/api/client";
import { useHistory } from "@/api/history";
import { useSession } from "@/api/session";
import { count, short } from "@/ui/format";
import { Sparkline } from "@/ui/Sparkline";
import css from "./Overview.module.css";

const EVERY_MS = 3000;

/** Numbers that move, each with what to look at when it is wrong. */
export function Tiles() {
  const links = useLinks();
  const hour = useHour();
  const online = useOnline();
  const alerts = useQuery({
    queryKey: ["alerts", "open"],
    queryFn: () => ok(api.GET("/v1/alerts", { params: { query: { state: "open", limit: 1000 } } })),
    refetchInterval: EVERY_MS * 2,
  });
  const open = alerts.data?.items;
  const worst = open?.find((each) => each.severity === "critical") ?? open?.[0];
  return (
    <div className={css.tiles}>
      <Tile label="Messages" figure={hour.rate === null ? "–" : short(hour.rate)} unit="a second">
        <Sparkline values={hour.messages} />
      </Tile>
      <Tile label="Devices online" figure={online.figure} unit="now">
        <Sparkline values={online.history} />
      </Tile>
      <Tile label="Errors" figure={hour.total === null ? "–" : short(hour.total)} unit="in the last hour">
        <Sparkline values={hour.errors} tone="bad" />
      </Tile>
      <Tile
        label="Brokers"
        figure={links.total === null ? "–" : `${links.up}`}
        unit={links.total === null ? "" : `of ${links.total} connected`}
        note={
          links.trouble ? (
            <span className={css.badText}>{links.trouble}</span>
          ) : (
            "The hosted broker runs by itself."
          )
        }
      />
      <Tile
        label="Open alerts"
        figure={open ? count(open.length) : "–"}
        unit=""
        note={
          worst ? (
            <span className={css.badText}>{worst.summary}</span>
          ) : (
            "Nothing is wrong that a rule looks at."
          )
        }
      />
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
              counter: ["messages", "errors", "dead_letters"],
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
  const dead = of("dead_letters");
  const errors = of("errors").map((n, minute) => n + (dead[minute] ?? 0));
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
    refetchInterval: EVERY_MS * 2,
  });
  const found = query.data?.items.length;
  const history = useHistory(`${organization} online`, found, query.dataUpdatedAt);
  const more = query.data?.next_cursor ? "+" : "";
  return { figure: found === undefined ? "–" : `${count(found)}${more}`, history };
}

interface TileProps {
  label: string;
  figure: string;
  unit: string;
  note?: ReactNode;
  children?: ReactNode;
}

function Tile({ label, figure, unit, note, children }: TileProps) {
  return (
    <section className={css.tile} aria-label={label}>
      <span className={css.label}>{label}</span>
      <span className={css.figure}>
        {figure} <span className={css.unit}>{unit}</span>
      </span>
      {children ? <div className={css.chart}>{children}</div> : <div className={css.note}>{note}</div>}
    </section>
  );
}

/** External brokers: how many are connected, what comes from them, and which one is in trouble. */
function useLinks() {
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
  const bad = known.find((each) => each.state === "refused" || each.state === "degraded");
  const name = external.find((each) => each.id === bad?.integration_id)?.name;
  return {
    total: integrations.data ? external.length : null,
    up: known.filter((each) => each.state === "up").length,
    rate: known.reduce((sum, each) => sum + (each.rate_in_per_s ?? 0), 0),
    trouble: bad && `${name}: ${bad.reason ?? bad.state}`,
  };
}
