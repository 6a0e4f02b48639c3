import { useSyncExternalStore } from "react";

const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const FORMS = {
  whole: WHOLE,
  day: new Intl.DateTimeFormat(undefined, { dateStyle: "medium" }),
  time: new Intl.DateTimeFormat(undefined, { timeStyle: "medium" }),
};
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
  const ago = useAgo(as === "ago" ? at : null);
  if (!at) return <span>{none}</span>;
  return (
    <time dateTime={at} onPointerEnter={(event) => point(event.currentTarget, at, as)}>
      {as === "ago" ? ago : FORMS[as].format(new Date(at))}
    </time>
  );
}

/** Written when it is asked for: lists have hundreds of moments. */
function point(element: HTMLElement, at: string, as: string): void {
  const date = new Date(at);
  const utc = `${date.toISOString().replace("T", " ").replace("Z", "")} UTC`;
  element.title = as === "ago" ? `${WHOLE.format(date)}\n${utc}` : utc;
}

/** Words that follow the clock: one timer for all of them, and drawn again only where they are others. */
const useAgo = (at: string | null | undefined): string =>
  useSyncExternalStore(at ? everySecond : never, () => (at ? relative(new Date(at)) : ""));

const listeners = new Set<() => void>();
let timer: number | undefined;

function everySecond(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= window.setInterval(() => {
    for (const each of listeners) each();
  }, 1000);
  return () => {
    listeners.delete(listener);
    if (listeners.size) return;
    window.clearInterval(timer);
    timer = undefined;
  };
}

const never = () => () => undefined;
