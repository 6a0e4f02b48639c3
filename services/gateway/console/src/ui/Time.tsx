import { useEffect, useState } from "react";

const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const TODAY = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const AGO = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });

const STEPS: [unit: Intl.RelativeTimeFormatUnit, s: number][] = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

/** "2 min. ago", "in 3 days", "now". */
export function relative(at: Date, now = Date.now()): string {
  const s = (at.getTime() - now) / 1000;
  for (const [unit, length] of STEPS)
    if (Math.abs(s) >= length) return AGO.format(Math.round(s / length), unit);
  return Math.abs(s) < 5 ? "just now" : AGO.format(Math.round(s), "second");
}

interface TimeProps {
  /** RFC 3339; none: `none` is shown. */
  at: string | null | undefined;
  none?: string;
  as?: "whole" | "ago" | "day" | "time";
}

/** A moment in local time; in UTC, to the millisecond, where one points at it. */
export function Time({ at, none = "never", as = "whole" }: TimeProps) {
  useEverySecond(as === "ago" && Boolean(at));
  if (!at) return <span>{none}</span>;
  const date = new Date(at);
  const words = {
    whole: WHOLE.format(date),
    ago: relative(date),
    day: DAY.format(date),
    time: TODAY.format(date),
  }[as];
  const utc = `${date.toISOString().replace("T", " ").replace("Z", "")} UTC`;
  return (
    <time dateTime={at} title={as === "ago" ? `${WHOLE.format(date)}\n${utc}` : utc}>
      {words}
    </time>
  );
}

function useEverySecond(wanted: boolean): void {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!wanted) return;
    const timer = window.setInterval(() => tick((n) => n + 1), 1000);
    return () => window.clearInterval(timer);
  }, [wanted]);
}
