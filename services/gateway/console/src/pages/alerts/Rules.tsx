import { Button, Switch, Table } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Siren, Trash2 } from "lucide-react";
import { type ReactNode, useState } from "react";
import { all, api, ok } from "@/api/client";
import type { AlertRuleView } from "@/api/schema";
import { ConfirmByName } from "@/ui/ConfirmByName";
import { Answered, Empty } from "@/ui/Feedback";
import css from "@/ui/List.module.css";
import { Card } from "@/ui/Page";
import { Status } from "@/ui/Status";
import { done } from "@/ui/toasts";
import { conditionWords, scopeWords, TONES } from "./words";

export function Rules({ manages, create }: { manages: boolean; create: ReactNode }) {
  const query = useQuery({
    queryKey: ["alert-rules"],
    queryFn: () =>
      all((cursor) => ok(api.GET("/v1/alert-rules", { params: { query: { limit: 500, cursor } } }))),
  });
  return (
    <Card flush label="Rules">
      <Answered query={query}>
        {query.data?.length === 0 ? (
          <Empty icon={Siren} title="No rules" action={create}>
            A rule says when somebody must be told: a value beyond a limit, a device that fell silent.
          </Empty>
        ) : (
          <RulesTable rows={query.data ?? []} manages={manages} />
        )}
      </Answered>
    </Card>
  );
}

function RulesTable({ rows, manages }: { rows: AlertRuleView[]; manages: boolean }) {
  const client = useQueryClient();
  const [leaving, setLeaving] = useState<AlertRuleView>();
  const after = () => client.invalidateQueries({ queryKey: ["alert-rules"] });
  const switching = useMutation({
    mutationFn: ({ id, enabled }: { id: string; enabled: boolean }) =>
      ok(api.PATCH("/v1/alert-rules/{id}", { params: { path: { id } }, body: { enabled } })),
    onSuccess: after,
  });
  const deleting = useMutation({
    mutationFn: (id: string) => ok(api.DELETE("/v1/alert-rules/{id}", { params: { path: { id } } })),
    onSuccess: () => {
      done("Rule deleted");
      return after();
    },
  });
  return (
    <>
      <Table highlightOnHover className={css.table}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Rule</Table.Th>
            <Table.Th className={css.wide}>Severity</Table.Th>
            <Table.Th className={css.wide}>Watches</Table.Th>
            <Table.Th>On</Table.Th>
            <Table.Th aria-label="Actions" />
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row) => (
            <Table.Tr key={row.id}>
              <Table.Td>
                <strong className="break">{row.name}</strong>
                <div className={css.under}>{conditionWords(row.condition)}</div>
              </Table.Td>
              <Table.Td className={css.wide}>
                <Status tone={TONES[row.severity ?? "warning"]}>{row.severity ?? "warning"}</Status>
              </Table.Td>
              <Table.Td className={css.wide}>
                <span className="break">
                  {row.condition.kind === "link" ? "links" : scopeWords(row.scope)}
                </span>
              </Table.Td>
              <Table.Td>
                <Switch
                  aria-label={`${row.name} is judged`}
                  checked={row.enabled ?? true}
                  disabled={!manages || switching.isPending}
                  onChange={(event) => switching.mutate({ id: row.id, enabled: event.currentTarget.checked })}
                />
              </Table.Td>
              <Table.Td className={css.number}>
                {manages && !row.built_in && (
                  <Button
                    size="xs"
                    variant="default"
                    aria-label={`Delete ${row.name}`}
                    onClick={() => setLeaving(row)}
                  >
                    <Trash2 size={15} />
                  </Button>
                )}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
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
