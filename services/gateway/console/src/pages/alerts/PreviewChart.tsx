import { useQuery } from "@tanstack/react-query";
import { useMemo, useRef } from "react";
import type uPlot from "uplot";
import { api, ok } from "@/api/client";
import type { AlertPreview } from "@/api/schema";
import { useSession } from "@/api/session";
import { intervalOf } from "@/pages/devices/range";
import { joined } from "@/ui/gaps";
import { type Colour, Legend, line, Plot, spread } from "@/ui/Plot";
import { Time } from "@/ui/Time";
import type { Form } from "./form";
import css from "./RulePreview.module.css";

const NUMBER = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 6 });
const DEVICES_MOST = 6; // lines that can be told apart

interface ChartProps {
  found: AlertPreview;
  form: Form;
}

/** Values with the limit and the alerts; where there are no values to draw, the alerts alone. */
export function PreviewChart({ found, form }: ChartProps) {
  const reads = useSession().can("read");
  const metric = form.kind === "threshold" || form.kind === "rate_of_change" ? form.metric.trim() : "";
  const devices = (found.devices ?? []).slice(0, DEVICES_MOST);
  const query = useQuery({
    queryKey: ["alert-preview", "values", metric, devices, found.start, found.end],
    queryFn: () => {
      const asked = {
        metric: [metric],
        device_id: devices,
        from: found.start,
        to: found.end,
        interval: intervalOf(new Date(found.start), new Date(found.end)),
        aggregate: ["avg" as const],
      };
      return ok(api.GET("/v1/telemetry/series", { params: { query: asked } }));
    },
    enabled: reads && metric !== "" && devices.length > 0,
    placeholderData: (before) => before,
    staleTime: 60_000,
  });
  const lines = useMemo(
    () =>
      (query.data?.items ?? []).filter((each) => each.values.avg?.some((value) => typeof value === "number")),
    [query.data],
  );
  if (!metric || !query.data || lines.length === 0) return <Strip found={found} />;
  const times = query.data.timestamps.map((each) => Date.parse(each) / 1000);
  const columns = lines.map((each) => each.values.avg as (number | null)[]);
  return (
    <>
      {lines.length > 1 && <Legend labels={lines.map((each) => each.device_id)} />}
      <Values
        key={lines.length}
        found={found}
        form={form}
        data={[times, ...columns.map((each) => joined(times, each)(each))]}
      />
    </>
  );
}

function Values({ found, form, data }: ChartProps & { data: uPlot.AlignedData }) {
  const latest = useRef({ found, form });
  latest.current = { found, form };
  const count = data.length - 1;
  const limit = form.kind === "threshold" ? `, with the limit at ${form.value}` : "";
  return (
    <Plot
      // Limit and alerts are drawn with the values.
      key={`${form.operator} ${form.value} ${form.hysteresis} ${found.opened} ${found.start}`}
      label={`${form.metric} over time${limit}; ${found.opened} alerts`}
      data={data}
      from={Date.parse(found.start) / 1000}
      to={Date.parse(found.end) / 1000}
      height={170}
      sync="alert-preview"
      draw={(colour) => ({
        series: Array.from({ length: count }, (_, at) => line(colour, at)),
        range: (low, high) => {
          const { kind, value } = latest.current.form;
          if (kind !== "threshold" || low === null || high === null) return spread(low, high);
          return spread(Math.min(low, value), Math.max(high, value));
        },
        values: NUMBER.format,
        below: (chart) => below(chart, colour, latest.current),
      })}
    />
  );
}

function below(chart: uPlot, colour: Colour, { found, form }: ChartProps): void {
  const { ctx, bbox } = chart;
  const right = bbox.left + bbox.width;
  const at = (moment: string) =>
    Math.min(right, Math.max(bbox.left, chart.valToPos(Date.parse(moment) / 1000, "x", true)));
  ctx.save();
  ctx.fillStyle = `${colour("--bad")}26`;
  for (const each of found.items ?? []) {
    const begin = at(each.opened_at);
    ctx.fillRect(begin, bbox.top, Math.max(2, at(each.resolved_at ?? found.end) - begin), bbox.height);
  }
  if (form.kind === "threshold") {
    ctx.strokeStyle = colour("--bad");
    ctx.lineWidth = 1.5 * devicePixelRatio;
    const level = (value: number, dash: number[]) => {
      const y = chart.valToPos(value, "y", true);
      if (y < bbox.top || y > bbox.top + bbox.height) return;
      ctx.setLineDash(dash.map((each) => each * devicePixelRatio));
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(right, y);
      ctx.stroke();
    };
    level(form.value, []);
    if (form.hysteresis) {
      const above = form.operator.startsWith(">");
      level(form.value + (above ? -form.hysteresis : form.hysteresis), [3, 4]);
    }
  }
  ctx.restore();
}

/** When alerts would have been open. */
function Strip({ found }: { found: AlertPreview }) {
  const items = found.items ?? [];
  if (!items.length) return null;
  const begin = Date.parse(found.start);
  const whole = Math.max(1, Date.parse(found.end) - begin);
  return (
    <div>
      <svg className={css.strip} viewBox="0 0 1000 24" preserveAspectRatio="none" aria-hidden="true">
        {items.map((each) => {
          const x = (1000 * (Date.parse(each.opened_at) - begin)) / whole;
          const end = (1000 * (Date.parse(each.resolved_at ?? found.end) - begin)) / whole;
          return (
            <rect
              key={`${each.device_id} ${each.integration_id} ${each.opened_at}`}
              className={css.open}
              x={x}
              width={Math.max(2, end - x)}
              height="24"
            />
          );
        })}
      </svg>
      <div className={css.ends}>
        <Time at={found.start} /> <Time at={found.end} />
      </div>
    </div>
  );
}
