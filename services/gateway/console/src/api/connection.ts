import { queryOptions } from "@tanstack/react-query";
import { api, ok } from "./client";

/** Where devices connect to, and where their topics begin. */
export const connectionQuery = queryOptions({
  queryKey: ["connection"],
  queryFn: () => ok(api.GET("/v1/connection")),
  staleTime: 10 * 60_000,
});

export interface Address {
  scheme: string;
  host: string;
  port: number;
  path: string;
}

const PORTS: Record<string, number> = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443 };

/** The parts of `mqtt://host:port/path`. */
export function addressOf(url: string): Address {
  const scheme = url.slice(0, url.indexOf(":"));
  const parsed = new URL(url.replace(/^\w+:/, "http:")); // browsers know no hosts of mqtt:
  const port = Number(/:(\d+)(?:\/|$)/.exec(url.slice(scheme.length + 3))?.[1]) || (PORTS[scheme] ?? 0);
  return { scheme, host: parsed.hostname, port, path: parsed.pathname === "/" ? "" : parsed.pathname };
}
