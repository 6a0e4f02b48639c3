import { useQueries, useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api, ok } from "@/api/client";
import { useHistory } from "@/api/history";
import { useSession } from "@/api/session";
import { count, short } from "@/ui/format";
import { Sparkline } from "@/ui/Sparkline";
import css from "./Overview.module.css";

const EVERY_MS = 3000;

/** Four numbers that move. */
export function Tiles() {
  const { organization } = useSession();
  const limits = useQuery({
    queryKey: ["limits"],
    queryFn: () => ok(api.GET("/v1/limits")),
    refetchInterval: EVERY_MS,
  });
  const links = useLinks();
  const dead = useQuery({
    queryKey: ["dead-letters", "counts"],
    queryFn: () => ok(api.GET("/v1/dead-letters/counts")),
    refetchInterval: EVERY_MS * 3,
  });
  const current = (name: string) => limits.data?.items.find((each) => each.limit === name)?.current ?? null;
  const hosted = current("messages_per_s");
  const rate = hosted === null && !links.rate ? (limits.data ? 0 : null) : (hosted ?? 0) + links.rate;
  const rates = useHistory(`${organization} rate`, limits.data && rate, limits.dataUpdatedAt);
  const connections = limits.data ? (current("connections") ?? 0) : null;
  const connected = useHistory(
    `${organization} connections`,
    limits.data && connections,
    limits.dataUpdatedAt,
  );
  const waiting = dead.data?.items.reduce((sum, each) => sum + each.count, 0) ?? null;
  return (
    <div className={css.tiles}>
      <Tile label="Messages" figure={rate === null ? "–" : short(rate)} unit="a second">
        <Sparkline values={rates} />
      </Tile>
      <Tile label="Connections" figure={connections === null ? "–" : count(connections)} unit="open">
        <Sparkline values={connected} />
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
        label="Dead letters"
        figure={waiting === null ? "–" : short(waiting)}
        unit="waiting"
        note={waiting ? "Messages that could not be decoded." : "Every message could be decoded."}
      />
    </div>
  );
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
