import { Button } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
import type { DecoderChoice, IntegrationView } from "@/api/schema";
import { useSession } from "@/api/session";
import { PageButton } from "@/ui/links";
import { Card } from "@/ui/Page";
import { done } from "@/ui/toasts";
import { DecoderField } from "./decoder/DecoderField";
import css from "./Integrations.module.css";

/** How its messages are read. What came before stays as it was read, until it is decoded again. */
export function Decoding({ integration }: { integration: IntegrationView }) {
  const client = useQueryClient();
  const manages = useSession().can("manage_integrations");
  const { letter } = useSearch({ from: "/signed/integrations/$id" });
  const held = integration.decoder ?? { name: "standard", settings: {} };
  const [decoder, setDecoder] = useState<DecoderChoice>(held);
  const [shown, setShown] = useState(0);
  const saving = useMutation({
    mutationFn: ({ wanted }: { wanted: DecoderChoice; before?: DecoderChoice }) =>
      ok(
        api.PATCH("/v1/integrations/{id}", {
          params: { path: { id: integration.id } },
          body: { decoder: wanted } as never,
        }),
      ),
    meta: { shown: true },
    onSuccess: (_, { wanted, before }) => {
      if (before) {
        done("The decoder is changed", {
          words: "It reads what comes from now on.",
          undo: () => saving.mutate({ wanted: before }),
        });
      } else {
        setDecoder(wanted);
        setShown((number) => number + 1);
      }
      return client.invalidateQueries({ queryKey: ["integrations"] });
    },
  });
  const prefix = (integration.settings as { topic_prefix?: string } | null)?.topic_prefix;
  return (
    <Card title="How messages are read">
      <div className={css.stack}>
        <DecoderField
          key={shown}
          decoder={decoder}
          onChange={(wanted) => {
            saving.reset();
            setDecoder(wanted);
          }}
          integration={integration.id}
          prefix={prefix}
          letter={letter}
          problem={saving.error && asProblem(saving.error)}
        />
        {manages && (
          <div className={css.end}>
            {saving.isSuccess && letter && (
              <PageButton to="/dead-letters" search={{ letter }} variant="default">
                Back to the dead letter, to retry it
              </PageButton>
            )}
            {saving.isSuccess && !letter && (
              <PageButton to="/redecode" search={{ integration: integration.id }} variant="default">
                Read history with it, too
              </PageButton>
            )}
            <Button
              loading={saving.isPending}
              disabled={JSON.stringify(decoder) === JSON.stringify(held)}
              onClick={() => saving.mutate({ wanted: decoder, before: held })}
            >
              Save
            </Button>
          </div>
        )}
      </div>
    </Card>
  );
}
