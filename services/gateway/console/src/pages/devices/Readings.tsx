import { Anchor, Button, SegmentedControl } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { ChartLine, Download } from "lucide-react";
import { useMemo } from "react";
import { fileAddress } from "@/api/client";
import type { LatestValue } from "@/api/schema";
import { download } from "@/ui/download";
import { Answered, Empty } from "@/ui/Feedback";
import { Card } from "@/ui/Page";
import { Figures } from "@/ui/Plot";
import { Time } from "@/ui/Time";
import { useFile } from "@/ui/useFile";
import { Chart, type Drawn } from "./Chart";
import css from "./Device.module.css";
import { seriesQuery } from "./queries";
import { RangeSteps } from "./RangeSteps";
import { LASTS, rangeOf, timesOf } from "./range";
import { csv, SeriesTable } from "./SeriesTable";

const CHARTS_MAX = 24;

type Latest = Record<string, LatestValue>;

/** The latest value of each metric, and all numbers over time. */
export function Readings({ id, latest }: { id: string; latest: Latest }) {
  const search = useSearch({ from: "/signed/devices/$id" });
  const navigate = useNavigate({ from: "/devices/$id" });
  const range = rangeOf(search);
  const query = useQuery(seriesQuery(id, range));
  const timestamps = query.data?.timestamps;
  const times = useMemo(() => (timestamps ?? []).map((each) => Date.parse(each) / 1000), [timestamps]);
  const drawn = useMemo(() => numbers(query.data?.items ?? [], latest), [query.data, latest]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: up to now, as of each answer
  const { from, to } = useMemo(() => timesOf(range), [query.dataUpdatedAt, range.last, range.from, range.to]);
  const file = useFile(
    fileAddress("/v1/telemetry/export", {
      format: "csv",
      device_id: id,
      from: from.toISOString(),
      to: to.toISOString(),
    }),
  );
  const show = (change: { range?: string; from?: string; to?: string; as?: string }) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  const zoom = (start: Date, end: Date) =>
    show({ range: undefined, from: start.toISOString(), to: end.toISOString() });
  const asTable = search.as === "table";
  return (
    <>
      <LatestValues latest={latest} />
      <Card
        title="Over time"
        flush
        actions={
          <div className={css.controls}>
            {range.from && (
              <Button size="xs" variant="default" onClick={() => show({ from: undefined, to: undefined })}>
                Up to now
              </Button>
            )}
            <SegmentedControl
              size="xs"
              aria-label="Range"
              data={Object.keys(LASTS)}
              value={range.last ?? ""}
              onChange={(value) => show({ range: value, from: undefined, to: undefined })}
            />
            <RangeSteps span={{ from, to }} show={(span) => zoom(span.from, span.to)} />
            <SegmentedControl
              size="xs"
              aria-label="Show as"
              data={[
                { value: "charts", label: "Charts" },
                { value: "table", label: "Table" },
              ]}
              value={asTable ? "table" : "charts"}
              onChange={(value) => show({ as: value === "table" ? "table" : undefined })}
            />
            <Button
              size="xs"
              variant="default"
              leftSection={<Download size={15} />}
              disabled={drawn.length === 0}
              onClick={() => download(`${id}.csv`, csv(timestamps ?? [], drawn), "text/csv")}
            >
              CSV
            </Button>
          </div>
        }
      >
        <Answered query={query}>
          {drawn.length === 0 ? (
            <Empty icon={ChartLine} title="No numbers in this time">
              Choose a longer range. Texts and switches are among the latest values above.
            </Empty>
          ) : asTable ? (
            <SeriesTable timestamps={timestamps ?? []} drawn={drawn} />
          ) : (
            <Figures>
              {drawn.slice(0, CHARTS_MAX).map((each) => (
                <Chart
                  key={each.metric}
                  drawn={each}
                  times={times}
                  from={from.getTime() / 1000}
                  to={to.getTime() / 1000}
                  zoom={zoom}
                />
              ))}
            </Figures>
          )}
        </Answered>
        {drawn.length > 0 && (
          <p className={css.hint}>
            {asTable ? "Averages" : "Drag over a chart to look closer. Lines are averages"} of{" "}
            {query.data?.interval} each{drawn.length > CHARTS_MAX && `, of the first ${CHARTS_MAX} metrics`}.{" "}
            <Anchor size="sm" underline="always" {...file}>
              Every single reading as CSV
            </Anchor>
          </p>
        )}
      </Card>
    </>
  );
}

function LatestValues({ latest }: { latest: Latest }) {
  const entries = Object.entries(latest).sort(([a], [b]) => a.localeCompare(b));
  if (!entries.length) return null;
  return (
    <section className={css.latest} aria-label="Latest values">
      {entries.map(([metric, { value, unit, timestamp }]) => (
        <div key={metric} className={css.value}>
          <span className={css.metricName} title={metric}>
            {metric}
          </span>
          <span className={css.figure} title={String(value)}>
            {typeof value === "number"
              ? value.toLocaleString(undefined, { maximumSignificantDigits: 7 })
              : String(value)}
            {unit && <span className={css.unit}> {unit}</span>}
          </span>
          <span className={css.ago}>
            <Time at={timestamp} as="ago" />
          </span>
        </div>
      ))}
    </section>
  );
}

interface SeriesItem {
  metric: string;
  values: Partial<Record<string, unknown[]>>;
}

function numbers(items: SeriesItem[], latest: Latest): Drawn[] {
  return items
    .filter((each) => each.values.avg?.some((value) => typeof value === "number"))
    .map((each) => ({
      metric: each.metric,
      unit: latest[each.metric]?.unit ?? null,
      avg: each.values.avg as (number | null)[],
      min: each.values.min as (number | null)[],
      max: each.values.max as (number | null)[],
    }))
    .sort((a, b) => a.metric.localeCompare(b.metric));
}
