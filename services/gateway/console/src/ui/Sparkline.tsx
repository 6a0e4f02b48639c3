import css from "./Sparkline.module.css";

interface SparklineProps {
  /** Oldest first; null is a gap. */
  values: (number | null)[];
  /** How many places there are: fewer values stand at the right. */
  places?: number;
  tone?: "normal" | "bad";
}

const HEIGHT = 40;

/** A small chart without axes: the number beside it says what it is. */
export function Sparkline({ values, places = 60, tone = "normal" }: SparklineProps) {
  const top = Math.max(1e-9, ...values.map((value) => value ?? 0)) * 1.12;
  const at = (index: number, value: number) =>
    `${(places - values.length + index).toFixed(1)},${(HEIGHT - (value / top) * (HEIGHT - 2)).toFixed(2)}`;
  const runs: string[][] = [[]];
  values.forEach((value, index) => {
    if (value === null) runs.push([]);
    else runs.at(-1)?.push(at(index, value));
  });
  return (
    <svg
      className={`${css.chart} ${tone === "bad" ? css.bad : ""}`}
      viewBox={`0 0 ${places - 1} ${HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <line className={css.base} x1="0" x2={places - 1} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} />
      {runs
        .filter((run) => run.length > 1)
        .map((run) => {
          const line = `M${run.join("L")}`;
          const first = run[0]?.split(",")[0];
          const last = run.at(-1)?.split(",")[0];
          return (
            <g key={first}>
              <path className={css.area} d={`${line}L${last},${HEIGHT}L${first},${HEIGHT}Z`} />
              <path className={css.line} d={line} />
            </g>
          );
        })}
    </svg>
  );
}
