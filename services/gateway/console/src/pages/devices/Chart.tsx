import { useMemo, useRef } from "react";
import { joined } from "@/ui/gaps";
import { Figure, line, Plot, spread } from "@/ui/Plot";

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
  const { drawn, times, from, to, zoom } = props;
  const readout = useRef<HTMLSpanElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const data = useMemo(() => {
    const whole = joined(times, drawn.avg);
    return [times, whole(drawn.avg), whole(drawn.max), whole(drawn.min)] as (number | null)[][];
  }, [times, drawn]);
  const known = drawn.avg.filter((value) => value !== null);
  const words = known.length
    ? `from ${NUMBER.format(Math.min(...known))} to ${NUMBER.format(Math.max(...known))} ${drawn.unit ?? ""}`
    : "no values";
  return (
    <Figure title={drawn.metric} unit={drawn.unit} readout={readout}>
      <Plot
        label={`${drawn.metric} over time, ${words}`}
        data={data as [number[], ...(number | null)[][]]}
        from={from}
        to={to}
        sync="device"
        zoom={zoom}
        tell={(index) => {
          if (readout.current) readout.current.textContent = said(latest.current, index);
        }}
        draw={(colour) => {
          const bound = { stroke: "transparent", width: 0, points: { show: false } };
          return {
            series: [line(colour, 0), { ...bound }, { ...bound }],
            bands: [{ series: [2, 3], fill: `${colour("--chart")}29` }],
            range: spread,
            values: NUMBER.format,
          };
        }}
      />
    </Figure>
  );
}

/** What stands under the pointer. */
function said({ times, drawn }: ChartProps, index: number | null): string {
  const { avg, min, max, unit } = drawn;
  const value = index === null ? null : avg[index];
  if (index === null || value == null) return "";
  const same = min[index] === max[index];
  const between = same ? "" : ` (${NUMBER.format(min[index] ?? 0)} to ${NUMBER.format(max[index] ?? 0)})`;
  const when = CLOCK.format(new Date((times[index] ?? 0) * 1000));
  return `${NUMBER.format(value)}${unit ? ` ${unit}` : ""}${between} · ${when}`;
}
