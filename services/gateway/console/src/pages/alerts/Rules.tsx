import { Button, Switch } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Pencil, Siren, Trash2 } from "lucide-react";
import { type ReactNode, useState } from "react";
import { all, api, ok } from "@/api/client";
import type { AlertRuleView } from "@/api/schema";
import { ConfirmByName } from "@/ui/ConfirmByName";
import { Answered, Empty } from "@/ui/Feedback";
import { type Column, Rows } from "@/ui/List";
import css from "@/ui/List.module.css";
import { PageLink } from "@/ui/links";
import { Card } from "@/ui/Page";
import { Status } from "@/ui/Status";
import { done } from "@/ui/toasts";
import { RuleDialog } from "./RuleDialog";
import { conditionWords, scopeWords, TONES } from "./words";

export function Rules({ manages, create }: { manages: boolean; create: ReactNode }) {
  const { rule } = useSearch({ from: "/signed/alerts" });
  const navigate = useNavigate({ from: "/alerts" });
  const show = (id: string | undefined) =>
    void navigate({ search: (held) => ({ ...held, rule: id }), replace: true });
  const query = useQuery({
    queryKey: ["alert-rules"],
    queryFn: () =>
      all((cursor) => ok(api.GET("/v1/alert-rules", { params: { query: { limit: 500, cursor } } }))),
  });
  const rows = query.data ?? [];
  const opened = rule === "new" ? "new" : rows.find((each) => each.id === rule);
  return (
    <Card flush label="Rules">
      <Answered query={query}>
        {rows.length === 0 ? (
          <Empty icon={Siren} title="No rules" action={create}>
            A rule says when somebody must be told: a value beyond a limit, a device that fell silent.
          </Empty>
        ) : (
          <RulesTable rows={rows} manages={manages} onChange={show} />
        )}
      </Answered>
      {manages && (
        <RuleDialog rule={opened} onClose={() => show(undefined)} onSaved={() => show(undefined)} />
      )}
    </Card>
  );
}

interface TableProps {
  rows: AlertRuleView[];
  manages: boolean;
  onChange: (id: string) => void;
}

function RulesTable({ rows, manages, onChange }: TableProps) {
  const client = useQueryClient();
  const [leaving, setLeaving] = useState<AlertRuleView>();
  const after = () => client.invalidateQueries({ queryKey: ["alert-rules"] });
  const switching = useMutation({
    mutationFn: ({ id, enabled }: { id: string; enabled: boolean }) =>
      ok(api.PATCH("/v1/alert-rules/{id}", { params: { path: { id } }, body: { enabled } })),
    onSuccess: (rule, { id, enabled }) => {
      done(enabled ? `${rule.name} is judged again` : `${rule.name} is switched off`, {
        words: enabled ? undefined : "Its open alerts are resolved.",
        undo: () => switching.mutate({ id, enabled: !enabled }),
      });
      return after();
    },
  });
  const deleting = useMutation({
    mutationFn: (id: string) => ok(api.DELETE("/v1/alert-rules/{id}", { params: { path: { id } } })),
    onSuccess: () => {
      done("Rule deleted");
      return after();
    },
  });
  const columns: Column<AlertRuleView>[] = [
    {
      head: "Rule",
      cell: (row) => (
        <>
          <PageLink
            to="/alerts"
            search={{ tab: "all", of: row.id }}
            fw={550}
            className="break"
            title="Its alerts"
          >
            {row.name}
          </PageLink>
          <div className={css.under}>{conditionWords(row.condition)}</div>
        </>
      ),
    },
    {
      head: "Severity",
      wide: true,
      cell: (row) => <Status tone={TONES[row.severity ?? "warning"]}>{row.severity ?? "warning"}</Status>,
    },
    {
      head: "Watches",
      wide: true,
      cell: (row) => <span className="break">{scopeWords(row.condition, row.scope)}</span>,
    },
    {
      head: "On",
      cell: (row) => (
        <Switch
          aria-label={`${row.name} is judged`}
          checked={row.enabled ?? true}
          disabled={!manages || switching.isPending}
          onChange={(event) => switching.mutate({ id: row.id, enabled: event.currentTarget.checked })}
        />
      ),
    },
    {
      head: "Actions",
      quiet: true,
      end: true,
      tight: true,
      cell: (row) =>
        manages && (
          <span className={css.buttons}>
            <Button
              size="xs"
              variant="default"
              aria-label={`Change ${row.name}`}
              onClick={() => onChange(row.id)}
            >
              <Pencil size={15} />
            </Button>
            {!row.built_in && (
              <Button
                size="xs"
                variant="default"
                aria-label={`Delete ${row.name}`}
                onClick={() => setLeaving(row)}
              >
                <Trash2 size={15} />
              </Button>
            )}
          </span>
        ),
    },
  ];
  return (
    <>
      <Rows rows={rows} columns={columns} id={(row) => row.id} />
      <ConfirmByName
        opened={leaving !== undefined}
        onClose={() => setLeaving(undefined)}
        title={`Delete ${leaving?.name ?? "the rule"}?`}
        action="Delete"
        run={() => deleting.mutateAsync(leaving?.id ?? "")}
      >
        Its open alerts are resolved; those of the past stay.
      </ConfirmByName>
    </>
  );
}
