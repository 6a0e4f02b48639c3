/** Hosted and external brokers. Begun. */
export function Integrations() {
  return null;
}
