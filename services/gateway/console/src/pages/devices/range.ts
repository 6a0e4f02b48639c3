const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const LASTS = {
  "15m": 15 * MINUTE,
  "1h": HOUR,
  "6h": 6 * HOUR,
  "24h": DAY,
  "7d": 7 * DAY,
  "30d": 30 * DAY,
};
type Last = keyof typeof LASTS;
const USUAL: Last = "1h";

/** The last so many, or from one moment to another. */
export interface Range {
  last?: Last;
  from?: string;
  to?: string;
}

const POINTS_MAX = 400; // more than that no screen shows apart
const STEPS: [words: string, s: number][] = [
  ["1s", 1],
  ["2s", 2],
  ["5s", 5],
  ["10s", 10],
  ["30s", 30],
  ["1m", MINUTE],
  ["2m", 2 * MINUTE],
  ["5m", 5 * MINUTE],
  ["10m", 10 * MINUTE],
  ["15m", 15 * MINUTE],
  ["30m", 30 * MINUTE],
  ["1h", HOUR],
  ["2h", 2 * HOUR],
  ["6h", 6 * HOUR],
  ["12h", 12 * HOUR],
  ["1d", DAY],
  ["1w", 7 * DAY],
];

interface Search {
  range?: string;
  from?: string;
  to?: string;
}

/** As the address says it; the last hour where it says nothing that makes sense. */
export function rangeOf({ range, from, to }: Search): Range {
  if (from && to && Date.parse(from) < Date.parse(to)) return { from, to };
  return { last: range && range in LASTS ? (range as Last) : USUAL };
}

export function timesOf(range: Range, now = Date.now()): { from: Date; to: Date } {
  if (range.from && range.to) return { from: new Date(range.from), to: new Date(range.to) };
  return { from: new Date(now - LASTS[range.last ?? USUAL] * 1000), to: new Date(now) };
}

/** The shortest step with which there are not too many of them. */
export function intervalOf(from: Date, to: Date): string {
  const s = (to.getTime() - from.getTime()) / 1000;
  return (STEPS.find(([, length]) => s / length <= POINTS_MAX) ?? STEPS.at(-1))?.[0] ?? "1d";
}

export interface Span {
  from: Date;
  to: Date;
}

const SHORTEST_S = 10;
const LONGEST_S = 10 * 365 * DAY;

/** The span shifted by a share of itself and so many times as long, around its middle, not beyond now; null for none. */
export function moved({ from, to }: Span, by: number, times: number, now = Date.now()): Span | null {
  const length = to.getTime() - from.getTime();
  const wanted = length * times;
  if (wanted < SHORTEST_S * 1000 || wanted > LONGEST_S * 1000) return null;
  const middle = (from.getTime() + to.getTime()) / 2 + length * by;
  const end = Math.min(middle + wanted / 2, now);
  if (end <= to.getTime() && by > 0) return null; // it is there already
  return { from: new Date(end - wanted), to: new Date(end) };
}
