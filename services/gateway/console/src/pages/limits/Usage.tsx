import { SegmentedControl } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { ChartColumn } from "lucide-react";
import { useMemo, useRef } from "react";
import { api, ok } from "@/api/client";
import type { StatsPage } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered, Empty } from "@/ui/Feedback";
import { bytes, short } from "@/ui/format";
import { PageButton } from "@/ui/links";
import { Card } from "@/ui/Page";
import { BINARY, bars, Figure, Figures, fromZero, Legend, LINES, line, Plot, WHOLE } from "@/ui/Plot";
import { SPANS, type Span, USUAL } from "./spans";

type Counter = keyof StatsPage["items"][number]["totals"];

interface Told {
  title: string;
  counters: { of: Counter; label: string }[];
  words: (n: number) => string;
}

const TOLD: Told[] = [
  { title: "Messages", counters: [{ of: "messages", label: "messages" }], words: short },
  { title: "Payload", counters: [{ of: "bytes", label: "bytes" }], words: (n) => bytes(Math.round(n)) },
  { title: "Readings", counters: [{ of: "readings", label: "readings" }], words: short },
  {
    title: "Trouble",
    counters: [
      { of: "errors", label: "failed or refused" },
      { of: "dead_letters", label: "dead letters" },
      { of: "refusals", label: "refused connects" },
    ],
    words: short,
  },
  {
    title: "Connections of devices",
    counters: [
      { of: "connects", label: "opened" },
      { of: "disconnects", label: "ended" },
    ],
    words: short,
  },
  {
    title: "Links of brokers",
    counters: [
      { of: "links_up", label: "up" },
      { of: "links_down", label: "down" },
      { of: "links_degraded", label: "degraded" },
    ],
    words: short,
  },
];
const CLOCK = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** How much of what, by time. */
export function Usage() {
  const search = useSearch({ from: "/signed/limits" });
  const navigate = useNavigate({ from: "/limits" });
  const session = useSession();
  const span: Span = search.span ?? USUAL;
  const query = useQuery({
    queryKey: ["stats", "usage", span],
    queryFn: () => {
      const from = new Date(Date.now() - SPANS[span].s * 1000).toISOString();
      return ok(api.GET("/v1/stats", { params: { query: { interval: SPANS[span].step, from } } }));
    },
    refetchInterval: 15_000,
    placeholderData: (before) => before,
  });
  const totals = query.data?.items[0]?.totals;
  const anything = totals && Object.values(totals).some((n) => n > 0);
  return (
    <Card
      title="Usage over time"
      flush
      actions={
        <SegmentedControl
          size="xs"
          aria-label="Range"
          data={Object.keys(SPANS)}
          value={span}
          onChange={(value) =>
            void navigate({ search: (held) => ({ ...held, span: value as Span }), replace: true })
          }
        />
      }
    >
      <Answered query={query}>
        {query.data && anything ? (
          <Figures>
            {TOLD.map((told) => (
              <Chart key={told.title} told={told} page={query.data} step_s={SPANS[span].step_s} />
            ))}
          </Figures>
        ) : (
          <Empty
            icon={ChartColumn}
            title="Nothing was counted in this time"
            action={
              session.can("manage_credentials") && (
                <PageButton to="/credentials" search={{ new: true }}>
                  Create a credential
                </PageButton>
              )
            }
          >
            Messages, readings, connects and what goes wrong are counted from the first of them on.
          </Empty>
        )}
      </Answered>
    </Card>
  );
}

function Chart({ told, page, step_s }: { told: Told; page: StatsPage; step_s: number }) {
  const readout = useRef<HTMLSpanElement>(null);
  const latest = useRef(page);
  latest.current = page;
  const values = page.items[0]?.values;
  const totals = page.items[0]?.totals;
  const times = useMemo(() => page.timestamps.map((each) => Date.parse(each) / 1000), [page.timestamps]);
  const data = useMemo(
    () => [times, ...told.counters.map(({ of }) => (values?.[of] as number[] | undefined) ?? [])],
    [times, told, values],
  );
  const several = told.counters.length > 1;
  const sum = (of: Counter): string => told.words(totals?.[of] ?? 0);
  const labels = told.counters.map(({ of, label }) => (several ? `${label}: ${sum(of)}` : label));
  const whole = told.counters.map(({ of, label }) => `${sum(of)} ${label}`).join(", ");
  const tell = (index: number | null) => {
    if (!readout.current) return;
    const at = index === null ? undefined : latest.current.timestamps[index];
    const held = latest.current.items[0]?.values;
    readout.current.textContent =
      at === undefined
        ? ""
        : `${told.counters.map(({ of }) => told.words((held?.[of]?.[index ?? 0] as number) ?? 0)).join(" · ")} from ${CLOCK.format(new Date(at))}`;
  };
  return (
    <Figure
      title={told.title}
      unit={several ? null : `${sum(told.counters[0]?.of ?? "messages")} in all`}
      readout={readout}
    >
      {several && <Legend labels={labels} />}
      <Plot
        label={`${told.title} over time: ${whole}`}
        data={data as [number[], ...number[][]]}
        from={Date.parse(page.start) / 1000}
        to={(times.at(-1) ?? 0) + step_s}
        height={150}
        sync="usage"
        tell={tell}
        draw={(colour) => ({
          series: told.counters.map((_, at) => (several ? line(colour, at) : bars(colour(LINES[0])))),
          range: fromZero,
          values: told.words,
          steps: told.title === "Payload" ? BINARY : WHOLE,
        })}
      />
    </Figure>
  );
}
