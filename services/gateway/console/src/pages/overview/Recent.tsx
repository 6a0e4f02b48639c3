import { useQuery } from "@tanstack/react-query";
import { Activity } from "lucide-react";
import { api, ok } from "@/api/client";
import { Answered, Empty } from "@/ui/Feedback";
import { kindWords } from "@/ui/kinds";
import { PageLink } from "@/ui/links";
import { Card } from "@/ui/Page";
import { Time } from "@/ui/Time";
import { useIntegrationWords } from "../integrations/queries";
import css from "./Overview.module.css";

/** What happened last. */
export function Recent() {
  const query = useQuery({
    queryKey: ["activity", "recent"],
    queryFn: () => ok(api.GET("/v1/activity", { params: { query: { limit: 8 } } })),
    refetchInterval: 5000,
  });
  const words = useIntegrationWords();
  const rows = query.data?.items ?? [];
  return (
    <Card
      title="Recent activity"
      flush
      actions={
        <PageLink to="/activity" fz="sm">
          All of it
        </PageLink>
      }
    >
      <Answered query={query} rows={6}>
        {rows.length === 0 ? (
          <Empty icon={Activity} title="Nothing happened yet">
            Connects, refusals, links that come and go, and what people change are shown here.
          </Empty>
        ) : (
          <ul className={css.rows}>
            {rows.map((row) => (
              <li key={row.id} className={css.row}>
                <span
                  className={`${css.dot} ${row.status === "ok" ? css.dotGood : css.dotBad}`}
                  aria-hidden
                />
                <span className="break">
                  {kindWords(row.kind)}
                  {row.device_id && <strong className={css.who}> {row.device_id}</strong>}
                  {(row.summary || row.reason) && (
                    <span className={css.reason}>
                      {words(row.summary || row.reason || "")}
                      {row.details?.topic && !row.summary?.includes(String(row.details.topic)) ? (
                        <span className="mono"> {String(row.details.topic)}</span>
                      ) : null}
                    </span>
                  )}
                </span>
                <span className={css.when}>
                  <Time at={row.time} as="ago" />
                </span>
              </li>
            ))}
          </ul>
        )}
      </Answered>
    </Card>
  );
}
