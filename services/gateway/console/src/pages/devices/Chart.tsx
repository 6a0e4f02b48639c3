import "uplot/dist/uPlot.min.css";
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import css from "./Device.module.css";

const HEIGHT = 190;
const NUMBER = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 6 });
const CLOCK = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export interface Drawn {
  metric: string;
  unit: string | null;
  avg: (number | null)[];
  min: (number | null)[];
  max: (number | null)[];
}

interface ChartProps {
  drawn: Drawn;
  /** Seconds since 1970. */
  times: number[];
  from: number;
  to: number;
  zoom: (from: Date, to: Date) => void;
}

/** One metric: its average as a line, from least to greatest as a band; where nothing came, nothing is drawn. */
export function Chart(props: ChartProps) {
  const { drawn, times, from, to } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const readout = useRef<HTMLSpanElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const scheme = useComputedColorScheme("light", { getInitialValueInEffect: false });
  // biome-ignore lint/correctness/useExhaustiveDependencies: made anew for other colours; the data follow below
  useEffect(() => {
    const place = box.current;
    if (!place) return;
    const made = new uPlot(options(place.clientWidth, latest, readout), data(latest.current), place);
    plot.current = made;
    const sized = new ResizeObserver(() => made.setSize({ width: place.clientWidth, height: HEIGHT }));
    sized.observe(place);
    return () => {
      sized.disconnect();
      made.destroy();
    };
  }, [scheme]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: whenever one of these is another
  useEffect(() => {
    plot.current?.setData(data(latest.current), false);
    plot.current?.setScale("x", { min: from, max: to });
  }, [times, drawn, from, to]);
  const known = drawn.avg.filter((value) => value !== null);
  const words = known.length
    ? `from ${NUMBER.format(Math.min(...known))} to ${NUMBER.format(Math.max(...known))} ${drawn.unit ?? ""}`
    : "no values";
  return (
    <figure className={css.chart}>
      <figcaption className={css.caption}>
        <strong className={css.metric}>{drawn.metric}</strong>
        {drawn.unit && <span className={css.unit}>{drawn.unit}</span>}
        <span ref={readout} className={css.readout} aria-hidden />
      </figcaption>
      <div ref={box} className={css.plot} role="img" aria-label={`${drawn.metric} over time, ${words}`} />
    </figure>
  );
}

function data({ times, drawn }: ChartProps): uPlot.AlignedData {
  const whole = joined(times, drawn.avg);
  return [times, whole(drawn.avg), whole(drawn.max), whole(drawn.min)];
}

const GAP = 3; // times the usual distance between two values

/**
 * A device that sends more seldom than the steps are long leaves steps without a value; they are no gaps. uPlot draws
 * over `undefined`, and not over null.
 */
function joined(times: number[], values: (number | null)[]) {
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
  function at(index: number): number {
    return times[index] ?? 0;
  }
}

function options(
  width: number,
  latest: { current: ChartProps },
  readout: { current: HTMLSpanElement | null },
): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const line = colour("--chart");
  const axis: uPlot.Axis = {
    stroke: colour("--mantine-color-dimmed"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { stroke: colour("--line"), width: 1, size: 4 },
    font: "12px Inter, system-ui, sans-serif",
  };
  const bound: uPlot.Series = { stroke: "transparent", width: 0, points: { show: false } };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: {
      sync: { key: "device", setSeries: false },
      drag: { x: true, y: false, setScale: false },
      points: { size: 7, fill: line },
    },
    scales: {
      x: { time: true, range: () => [latest.current.from, latest.current.to] },
      y: { range: (_, low, high) => spread(low, high) },
    },
    axes: [axis, { ...axis, size: 56, values: (_, values) => values.map((value) => NUMBER.format(value)) }],
    series: [
      {},
      { stroke: line, width: 1.6, spanGaps: false, points: { size: 4, fill: line } },
      { ...bound },
      { ...bound },
    ],
    bands: [{ series: [2, 3], fill: `${line}29` }],
    hooks: {
      setCursor: [(chart) => tell(chart, latest.current, readout.current)],
      setSelect: [
        (chart) => {
          const { left, width: wide } = chart.select;
          if (wide < 6) return; // a click
          const at = (x: number) => new Date(Math.round(chart.posToVal(x, "x") * 1000));
          latest.current.zoom(at(left), at(left + wide));
          chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        },
      ],
    },
  };
}

function spread(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  const room = (high - low) * 0.08 || Math.abs(high) * 0.05 || 1;
  return [low - room, high + room];
}

/** What stands under the pointer, in each of the charts that share it. */
function tell(chart: uPlot, { times, drawn }: ChartProps, readout: HTMLSpanElement | null): void {
  if (!readout) return;
  const { avg, min, max, unit } = drawn;
  const index = chart.cursor.idx;
  const value = index == null ? null : avg[index];
  if (index == null || value == null) {
    readout.textContent = "";
    return;
  }
  const same = min[index] === max[index];
  const between = same ? "" : ` (${NUMBER.format(min[index] ?? 0)} to ${NUMBER.format(max[index] ?? 0)})`;
  const when = CLOCK.format(new Date((times[index] ?? 0) * 1000));
  readout.textContent = `${NUMBER.format(value)}${unit ? ` ${unit}` : ""}${between} · ${when}`;
}
