import "uplot/dist/uPlot.min.css";
import { useComputedColorScheme } from "@mantine/core";
import { type ReactNode, type Ref, useEffect, useRef } from "react";
import uPlot from "uplot";
import { onAxis } from "./onAxis";
import css from "./Plot.module.css";

export type Colour = (name: `--${string}`) => string;

export interface Drawn {
  series: uPlot.Series[];
  bands?: uPlot.Band[];
  /** From least to greatest of what is shown, where there is anything. */
  range: (low: number | null, high: number | null) => [number, number];
  /** Marks of the upright axis. */
  values: (value: number) => string;
  /** Distances between marks; absent: whatever fits. */
  steps?: number[];
  /** Below the lines: limits, spans. */
  below?: (chart: uPlot) => void;
}

interface PlotProps {
  /** What a screen reader says of it. */
  label: string;
  /** Times in seconds since 1970, then as many columns as there are series. */
  data: uPlot.AlignedData;
  from: number;
  to: number;
  height?: number;
  /** Charts of one name share their cursor. */
  sync: string;
  /** Asked again for other colours only; what it returns may read what is newest from a ref. */
  draw: (colour: Colour) => Drawn;
  /** The place under the pointer; null for none. */
  tell?: (index: number | null) => void;
  zoom?: (from: Date, to: Date) => void;
}

export const HEIGHT = 190;
const CLICK_PX = 6;

/** uPlot with our axes and colours: follows the window, the scheme, and its data. */
export function Plot(props: PlotProps) {
  const { data, from, to, label } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const latest = useRef(props);
  latest.current = props;
  const scheme = useComputedColorScheme("light", { getInitialValueInEffect: false });
  // biome-ignore lint/correctness/useExhaustiveDependencies: made anew for other colours; the data follow below
  useEffect(() => {
    const place = box.current;
    if (!place) return;
    const height = latest.current.height ?? HEIGHT;
    const made = new uPlot(options(place.clientWidth, height, latest), latest.current.data, place);
    plot.current = made;
    const sized = new ResizeObserver(() => made.setSize({ width: place.clientWidth, height }));
    sized.observe(place);
    return () => {
      sized.disconnect();
      made.destroy();
    };
  }, [scheme]);
  useEffect(() => {
    plot.current?.setData(data, false);
    plot.current?.setScale("x", { min: from, max: to });
  }, [data, from, to]);
  return <div ref={box} className={css.plot} role="img" aria-label={label} />;
}

function options(width: number, height: number, latest: { current: PlotProps }): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour: Colour = (name) => style.getPropertyValue(name).trim();
  const drawn = latest.current.draw(colour);
  const axis: uPlot.Axis = {
    stroke: colour("--mantine-color-dimmed"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { stroke: colour("--line"), width: 1, size: 4 },
    font: "12px Inter, system-ui, sans-serif",
  };
  const zoom = Boolean(latest.current.zoom);
  return {
    width,
    height,
    legend: { show: false },
    cursor: {
      sync: { key: latest.current.sync, setSeries: false },
      drag: { x: zoom, y: false, setScale: false },
      points: { size: 7 },
    },
    scales: {
      x: { time: true, range: () => [latest.current.from, latest.current.to] },
      y: { range: (_, low, high) => drawn.range(low, high) },
    },
    axes: [
      { ...axis, space: 80, values: (_, times, __, ___, step) => onAxis(times, step) },
      { ...axis, size: 56, incrs: drawn.steps, values: (_, values) => values.map(drawn.values) },
    ],
    series: [{}, ...drawn.series],
    bands: drawn.bands,
    hooks: {
      drawAxes: [(chart) => drawn.below?.(chart)],
      setCursor: [(chart) => latest.current.tell?.(chart.cursor.idx ?? null)],
      setSelect: [
        (chart) => {
          const { left, width: wide } = chart.select;
          if (wide < CLICK_PX) return;
          const at = (x: number) => new Date(Math.round(chart.posToVal(x, "x") * 1000));
          latest.current.zoom?.(at(left), at(left + wide));
          chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        },
      ],
    },
  };
}

/** The least and the greatest, with some room. */
export function spread(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  const room = (high - low) * 0.08 || Math.abs(high) * 0.05 || 1;
  return [low - room, high + room];
}

/** For counts: from nothing to a little above the most. */
export function fromZero(_: number | null, high: number | null): [number, number] {
  return [0, Math.max(1, high ?? 0) * 1.08];
}

const POWERS = Array.from({ length: 16 }, (_, power) => 10 ** power);
/** Marks of counts, which have no halves, and of bytes. */
export const WHOLE = POWERS.flatMap((power) => [power, 2 * power, 5 * power]);
export const BINARY = Array.from({ length: 45 }, (_, power) => 2 ** power);

/** Bars: what came in each step. */
export function bars(fill: string): uPlot.Series {
  return {
    fill,
    width: 0,
    points: { show: false },
    paths: uPlot.paths.bars?.({ size: [0.82, 28], align: 1 }),
  };
}

interface FigureProps {
  title: string;
  unit?: string | null;
  /** What stands under the pointer is written there. */
  readout?: Ref<HTMLSpanElement>;
  children: ReactNode;
}

/** A chart with its heading; several of them stand in `Figures`. */
export function Figure({ title, unit, readout, children }: FigureProps) {
  return (
    <figure className={css.figure}>
      <figcaption className={css.caption}>
        <strong className={css.title}>{title}</strong>
        {unit && <span className={css.unit}>{unit}</span>}
        <span ref={readout} className={css.readout} aria-hidden />
      </figcaption>
      {children}
    </figure>
  );
}

export function Figures({ children }: { children: ReactNode }) {
  return <div className={css.figures}>{children}</div>;
}

/** Colours of lines, and their dashes: a line is told from others without its colour. */
export const LINES = ["--chart", "--chart-2", "--chart-3", "--chart-4", "--chart-5", "--chart-6"] as const;
const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3], [4, 4], [12, 4]];

export function line(colour: Colour, at: number): uPlot.Series {
  const stroke = colour(LINES[at % LINES.length] ?? "--chart");
  return { stroke, width: 1.6, dash: DASHES[at % DASHES.length], points: { size: 4, fill: stroke } };
}

/** Which line is which. */
export function Legend({ labels }: { labels: string[] }) {
  return (
    <ul className={css.legend}>
      {labels.map((label, at) => (
        <li key={label} className={css.key}>
          <svg className={css.swatch} viewBox="0 0 24 8" aria-hidden="true">
            <line
              x1="0"
              x2="24"
              y1="4"
              y2="4"
              stroke={`var(${LINES[at % LINES.length]})`}
              strokeWidth="2.5"
              strokeDasharray={DASHES[at % DASHES.length]?.join(" ")}
            />
          </svg>
          <span className="break">{label}</span>
        </li>
      ))}
    </ul>
  );
}
