import { Button } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
import type { IntegrationView } from "@/api/schema";
import { useSession } from "@/api/session";
import { ProblemAlert } from "@/ui/Feedback";
import { Card } from "@/ui/Page";
import { done } from "@/ui/toasts";
import { DecoderField } from "./DecoderField";
import css from "./Integrations.module.css";

/** How its messages are read. What came before stays as it was read, until it is decoded again. */
export function Decoding({ integration }: { integration: IntegrationView }) {
  const client = useQueryClient();
  const manages = useSession().can("manage_integrations");
  const before = integration.decoder ?? { name: "standard", settings: {} };
  const [decoder, setDecoder] = useState(before);
  const saving = useMutation({
    mutationFn: (wanted: typeof before) =>
      ok(
        api.PATCH("/v1/integrations/{id}", {
          params: { path: { id: integration.id } },
          body: { decoder: wanted } as never,
        }),
      ),
    meta: { shown: true },
    onSuccess: (_, wanted) => {
      if (wanted !== before) {
        done("The decoder is changed", {
          words: "It reads what comes from now on. Redecode reads history with it, too.",
          undo: () => saving.mutate(before),
        });
      }
      return client.invalidateQueries({ queryKey: ["integrations"] });
    },
  });
  const problem = saving.error && asProblem(saving.error);
  const prefix = (integration.settings as { topic_prefix?: string } | null)?.topic_prefix;
  return (
    <Card title="How messages are read">
      <div className={css.stack}>
        <DecoderField
          decoder={decoder}
          onChange={setDecoder}
          integration={integration.id}
          prefix={prefix}
          error={problem?.of("decoder")}
        />
        {problem && !problem.of("decoder") && <ProblemAlert error={problem} />}
        {manages && (
          <div className={css.end}>
            <Button
              loading={saving.isPending}
              disabled={JSON.stringify(decoder) === JSON.stringify(before)}
              onClick={() => saving.mutate(decoder)}
            >
              Save
            </Button>
          </div>
        )}
      </div>
    </Card>
  );
}
