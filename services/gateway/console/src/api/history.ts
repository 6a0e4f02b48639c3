import { useEffect, useState } from "react";

const KEPT = 60;
const held = new Map<string, (number | null)[]>();

/** The last minute or more of a number that is asked for again and again; it outlives the page that shows it. */
export function useHistory(
  name: string,
  value: number | null | undefined,
  askedAt: number,
): (number | null)[] {
  const [, show] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a point for each answer, also where it is the same
  useEffect(() => {
    if (value === undefined || !askedAt) return;
    held.set(name, [...(held.get(name) ?? []), value].slice(-KEPT));
    show((n) => n + 1);
  }, [name, askedAt]);
  return held.get(name) ?? [];
}
