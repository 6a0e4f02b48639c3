import { SegmentedControl } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ok } from "@/api/client";
import type { AlertPreview, AlertRuleView } from "@/api/schema";
import { ProblemAlert, SkeletonRows } from "@/ui/Feedback";
import { count, counted, duration } from "@/ui/format";
import { Time } from "@/ui/Time";
import { complete, decisionOf, type Form } from "./form";
import { PreviewChart } from "./PreviewChart";
import css from "./RulePreview.module.css";
import { KINDS } from "./words";

const HOUR = 3600;
const SPANS = { "1h": HOUR, "6h": 6 * HOUR, "24h": 24 * HOUR, "7d": 168 * HOUR, "30d": 720 * HOUR };
type Span = keyof typeof SPANS;
const SETTLES_MS = 500;
const LISTED = 5;

/** What the rule would have done, over what is stored; follows the form as it is filled in. */
export function RulePreview({ form, held }: { form: Form; held?: AlertRuleView }) {
  const [span, setSpan] = useState<Span>("24h");
  const [asked] = useDebouncedValue(form, SETTLES_MS);
  const decision = decisionOf(asked, held);
  const offline = form.kind === "offline";
  const query = useQuery({
    queryKey: ["alert-preview", decision, span],
    queryFn: () => {
      const from = new Date(Date.now() - SPANS[span] * 1000).toISOString();
      return ok(api.POST("/v1/alert-rules/preview", { body: { ...decision, from } }));
    },
    enabled: complete(asked) && !offline,
    placeholderData: (before) => before,
    staleTime: 30_000,
  });
  return (
    <section className={css.box} aria-label="What it would have done">
      <div className={css.head}>
        <strong>What it would have done</strong>
        <SegmentedControl
          size="xs"
          aria-label="Looked at"
          data={Object.keys(SPANS)}
          value={span}
          onChange={(value) => setSpan(value as Span)}
        />
      </div>
      {offline ? (
        <p className={css.words}>
          When devices were online is not kept by time, so nobody knows. “{KINDS.no_data}” can be tried.
        </p>
      ) : !complete(form) ? (
        <p className={css.words}>Fill in the fields above, and what is stored is judged by them.</p>
      ) : query.error ? (
        <ProblemAlert error={query.error} retry={() => query.refetch()} />
      ) : query.data ? (
        <Found found={query.data} form={asked} />
      ) : (
        <SkeletonRows rows={2} />
      )}
    </section>
  );
}

function Found({ found, form }: { found: AlertPreview; form: Form }) {
  const items = found.items ?? [];
  const opened = found.opened;
  return (
    <>
      <p className={css.words} role="status">
        {opened === 0 ? (
          <strong>No alert</strong>
        ) : (
          <strong className={css.some}>{counted(opened, "alert")}</strong>
        )}{" "}
        {found.judged === 0
          ? "– nothing like that was stored in this time."
          : `of ${count(found.judged)} ${LOOKED_AT[form.kind] ?? "readings"}.`}
        {!found.complete && (
          <>
            {" "}
            There were more: these are the newest, since <Time at={found.start} />.
          </>
        )}
      </p>
      <PreviewChart found={found} form={form} />
      {items.length > 0 && (
        <ul className={css.items}>
          {items.slice(0, LISTED).map((each) => (
            <li key={`${each.device_id} ${each.integration_id} ${each.opened_at}`}>
              <Time at={each.opened_at} /> · {each.summary}
              <span className={css.lasted}>
                {each.resolved_at
                  ? ` · over after ${duration((Date.parse(each.resolved_at) - Date.parse(each.opened_at)) / 1000)}`
                  : " · still open"}
              </span>
            </li>
          ))}
          {opened > LISTED && <li className={css.lasted}>and {count(opened - LISTED)} before</li>}
        </ul>
      )}
    </>
  );
}

const LOOKED_AT: Partial<Record<Form["kind"], string>> = {
  no_data: "messages",
  dead_letters: "dead letters",
  link: "changes of links",
  refused_connects: "refused connects",
};
