const GAP = 3; // times the usual distance between two values

/**
 * A device that sends more seldom than the steps are long leaves steps without a value; they are no gaps. uPlot draws
 * over `undefined`, and not over null. What it returns does so with each column that has its values where these are.
 */
export function joined(times: number[], values: (number | null)[]) {
  const at = (index: number): number => times[index] ?? 0;
  const held = values.flatMap((value, index) => (value === null ? [] : [index]));
  const apart = held.slice(1).map((index, before) => at(index) - at(held[before] as number));
  const usual = apart.toSorted((a, b) => a - b)[Math.floor(apart.length / 2)] ?? 0;
  const bridged = new Set<number>();
  held.slice(1).forEach((index, before) => {
    if ((apart[before] as number) > GAP * usual) return;
    for (let step = (held[before] as number) + 1; step < index; step++) bridged.add(step);
  });
  return (each: (number | null)[]) =>
    each.map((value, index) => (bridged.has(index) ? undefined : value)) as (number | null)[];
}
