const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How far back, and in which steps: minutes are kept for 14 days, hours for 90; some sixty to a hundred bars. */
export const SPANS = {
  "1h": { s: HOUR, step: "1m", step_s: MINUTE },
  "24h": { s: DAY, step: "15m", step_s: 15 * MINUTE },
  "7d": { s: 7 * DAY, step: "2h", step_s: 2 * HOUR },
  "30d": { s: 30 * DAY, step: "12h", step_s: 12 * HOUR },
  "90d": { s: 90 * DAY, step: "1d", step_s: DAY },
};
export type Span = keyof typeof SPANS;
export const USUAL: Span = "24h";

export const BY = { integration: "Integrations", device: "Devices", credential: "Credentials" };
export type By = keyof typeof BY;

export interface LimitsSearch {
  span?: Span;
  by?: By;
}
