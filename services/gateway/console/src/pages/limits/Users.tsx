import { SegmentedControl } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Users as Icon } from "lucide-react";
import type { ReactNode } from "react";
import { all, api, ok } from "@/api/client";
import type { Stats } from "@/api/schema";
import { Answered, Empty } from "@/ui/Feedback";
import { bytes, count, short } from "@/ui/format";
import { type Column, Rows } from "@/ui/List";
import css from "@/ui/List.module.css";
import { PageLink } from "@/ui/links";
import { Card } from "@/ui/Page";
import { useIntegrationNames } from "../integrations/queries";
import { BY, type By, SPANS, USUAL } from "./spans";

const MOST = 1000;
const SHOWN = 20;
const HOURS_S = 7 * 86_400; // longer spans are summed by the day

/** What the most of it comes from, in the time that is chosen above. */
export function Users() {
  const search = useSearch({ from: "/signed/limits" });
  const navigate = useNavigate({ from: "/limits" });
  const span = search.span ?? USUAL;
  const by: By = search.by ?? "integration";
  const query = useQuery({
    queryKey: ["stats", "users", by, span],
    queryFn: () => {
      const { s } = SPANS[span];
      const asked = {
        by,
        interval: s > HOURS_S ? "1d" : "1h",
        counter: [...COUNTERS],
        from: new Date(Date.now() - s * 1000).toISOString(),
      };
      return all(
        (cursor) => ok(api.GET("/v1/stats", { params: { query: { ...asked, limit: 100, cursor } } })),
        MOST,
      );
    },
    refetchInterval: 30_000,
  });
  const rows = (query.data ?? []).toSorted((a, b) => (b.totals.messages ?? 0) - (a.totals.messages ?? 0));
  return (
    <Card
      title="What it comes from"
      flush
      actions={
        <SegmentedControl
          size="xs"
          aria-label="By"
          data={Object.entries(BY).map(([value, label]) => ({ value, label }))}
          value={by}
          onChange={(value) =>
            void navigate({ search: (held) => ({ ...held, by: value as By }), replace: true })
          }
        />
      }
    >
      <Answered query={query}>
        {rows.length === 0 ? (
          <Empty icon={Icon} title="Nothing was counted in this time">
            Choose a longer time above. A credential's messages count when its connection ends.
          </Empty>
        ) : (
          <Rows rows={rows.slice(0, SHOWN)} columns={columns(by)} id={(row) => row.id ?? ""} />
        )}
        {rows.length > SHOWN && (
          <p className={css.none}>
            The {SHOWN} with the most messages of{" "}
            {rows.length >= MOST ? `the first ${count(MOST)}` : count(rows.length)}.
          </p>
        )}
      </Answered>
    </Card>
  );
}

const COUNTERS = ["messages", "bytes", "readings", "dead_letters", "errors"] as const;

function columns(by: By): Column<Stats>[] {
  const number = (
    head: string,
    of: (typeof COUNTERS)[number],
    words = short,
    wide = false,
  ): Column<Stats> => ({
    head,
    end: true,
    wide,
    cell: (row) => words(row.totals[of] ?? 0),
  });
  return [
    { head: BY[by].slice(0, -1), cell: (row) => <Named by={by} id={row.id ?? ""} /> },
    number("Messages", "messages"),
    number("Payload", "bytes", bytes, true),
    number("Readings", "readings", short, true),
    number("Dead letters", "dead_letters", short, true),
    number("Errors", "errors"),
  ];
}

function Named({ by, id }: { by: By; id: string }): ReactNode {
  const named = useIntegrationNames();
  if (by === "device") {
    return (
      <PageLink to="/devices/$id" params={{ id }} className="break">
        {id}
      </PageLink>
    );
  }
  if (by === "credential") {
    return (
      <PageLink to="/credentials/$id" params={{ id }} className="mono break">
        {id}
      </PageLink>
    );
  }
  if (id === "http") return "by HTTP";
  return (
    <PageLink to="/integrations/$id" params={{ id }} className="break">
      {named(id)}
    </PageLink>
  );
}
