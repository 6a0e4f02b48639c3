/** What was so in each minute of the last hour, told by what happened in it. */

export const MINUTES = 60;

/** null: not known. Oldest first; the last is of now. */
export type Past = (number | null)[];

interface Entry {
  time: string;
  kind: string;
  subject?: string | null;
}

interface Broker {
  id: string;
  created_at: string;
  up: boolean;
}

// Whether a link was connected after and before what happened to it. What is not listed changes nothing.
const LINKS: Record<string, { after: boolean; before: boolean }> = {
  "link.up": { after: true, before: false },
  "link.down": { after: false, before: true },
  "link.refused": { after: false, before: false },
  "link.degraded": { after: false, before: true },
  "link.silent": { after: false, before: true },
  "link.recovered": { after: true, before: false },
  "link.flowing": { after: true, before: false },
  "link.paused": { after: false, before: true },
  "link.resumed": { after: false, before: false },
};

export const LINK_KINDS = Object.keys(LINKS);

/** How many links were connected: from how they are now, back along what happened. `entries` newest first, none left
 * out since `knownFrom`. */
export function linksUp(brokers: Broker[], entries: Entry[], knownFrom: number, now: number): Past {
  const steps = new Map<string, { at: number; after: boolean; before: boolean }[]>();
  for (const { kind, subject, time } of entries) {
    const meant = LINKS[kind];
    const id = subject?.replace(/^integration:/, "");
    if (!meant || !id) continue;
    const held = steps.get(id) ?? [];
    held.push({ at: Date.parse(time), ...meant });
    steps.set(id, held);
  }
  return minutes(now, (at) => {
    if (at < knownFrom) return null;
    return brokers.filter((each) => {
      if (Date.parse(each.created_at) > at) return false;
      if (at >= now) return each.up;
      const happened = steps.get(each.id) ?? [];
      const last = happened.find((step) => step.at <= at);
      return last ? last.after : (happened.at(-1)?.before ?? each.up);
    }).length;
  });
}

interface Opened {
  opened_at: string;
  acknowledged_at?: string | null;
  resolved_at?: string | null;
}

/** How many alerts were open: neither acknowledged nor resolved. */
export function alertsOpen(alerts: Opened[], now: number): Past {
  const spans = alerts.map((each) => {
    const ends = [each.acknowledged_at, each.resolved_at].flatMap((end) => (end ? [Date.parse(end)] : []));
    return { from: Date.parse(each.opened_at), to: Math.min(Number.POSITIVE_INFINITY, ...ends) };
  });
  return minutes(now, (at) => spans.filter(({ from, to }) => from <= at && at < to).length);
}

const minutes = (now: number, value: (at: number) => number | null): Past =>
  Array.from({ length: MINUTES }, (_, index) => value(now - (MINUTES - 1 - index) * 60_000));
