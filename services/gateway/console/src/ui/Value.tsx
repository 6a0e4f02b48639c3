import { Time } from "./Time";

const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/** Something of an event's details: moments in local time, the rest as it is. */
export function Value({ value }: { value: unknown }) {
  if (typeof value !== "string") return <span className="break">{JSON.stringify(value)}</span>;
  return MOMENT.test(value) ? <Time at={value} /> : <span className="break">{value}</span>;
}
