import { Button } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { Send } from "lucide-react";
import { api, ok } from "@/api/client";
import { ProblemAlert } from "@/ui/Feedback";
import css from "@/ui/List.module.css";
import { Card, Facts } from "@/ui/Page";
import { Status } from "@/ui/Status";

/** A call of the kind `webhook.test`, sent while one looks on. */
export function TestCall({ id }: { id: string }) {
  const testing = useMutation({
    mutationFn: () => ok(api.POST("/v1/webhooks/{id}/test", { params: { path: { id } } })),
    meta: { shown: true },
  });
  const found = testing.data;
  return (
    <Card
      title="Try it"
      actions={
        <Button
          size="xs"
          variant="default"
          leftSection={<Send size={14} />}
          loading={testing.isPending}
          onClick={() => testing.mutate()}
        >
          Send a test
        </Button>
      }
    >
      {testing.error && <ProblemAlert error={testing.error} />}
      {!found && !testing.error && <span className={css.under}>A signed call, now, and what came back.</span>}
      {found && (
        <div className={css.form} role="status">
          <div>
            <Status tone={found.ok ? "good" : "bad"}>
              {found.ok ? `Answered ${found.status}` : (found.detail ?? "It failed")}
            </Status>
          </div>
          <Facts
            rows={[
              ["Took", `${Math.round(found.duration_ms)} ms`],
              ["Answer", found.answer || "empty"],
              ...(found.ok
                ? []
                : ([
                    ["Failed at", found.step ?? "the answer"],
                    ["Code", found.code ?? "none"],
                  ] as [string, string][])),
            ]}
          />
        </div>
      )}
    </Card>
  );
}
