import { Button, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem, type Problem } from "@/api/problem";
import type { IntegrationView } from "@/api/schema";
import { useSession } from "@/api/session";
import { ProblemAlert } from "@/ui/Feedback";
import { Card } from "@/ui/Page";
import { done } from "@/ui/toasts";
import { BrokerFields } from "./BrokerFields";
import { Certificates } from "./Certificates";
import { ConnectionTest } from "./ConnectionTest";
import { changeOf, fromView } from "./form";
import css from "./Integrations.module.css";
import { presetsQuery } from "./queries";

/** Ways to sign in that are one provider's alone, so that its preset's words fit. */
const PROVIDERS = { aws_iot: true, azure_sas: true };

/** Its settings; a secret that is left empty stays. */
export function Settings({ integration }: { integration: IntegrationView }) {
  const client = useQueryClient();
  const manages = useSession().can("manage_integrations");
  const presets = useQuery(presetsQuery);
  const [form, setForm] = useState(() => fromView(integration));
  const saving = useMutation({
    mutationFn: () =>
      ok(
        api.PATCH("/v1/integrations/{id}", {
          params: { path: { id: integration.id } },
          body: { name: form.name, settings: changeOf(form) } as never,
        }),
      ),
    meta: { shown: true },
    onSuccess: (saved) => {
      setForm(fromView(saved)); // secrets are held now: their fields are empty again
      done("The settings are saved", { words: "The connection is made anew where they ask for it." });
      return client.invalidateQueries({ queryKey: ["integrations"] });
    },
  });
  // What a test finds wrong with a field stands beside it, too.
  const [tried, setTried] = useState<Problem | null>(null);
  const unsaved = saving.error ? asProblem(saving.error) : null;
  const problem = unsaved ?? tried;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    saving.mutate();
  };
  const change = (part: Partial<typeof form>) => setForm((before) => ({ ...before, ...part }));
  const preset = presets.data?.items.find(
    (each) => each.settings.auth === form.auth && form.auth in PROVIDERS,
  );
  return (
    <Card title="Settings">
      <form onSubmit={submit} className={css.stack}>
        <TextInput
          label="Name"
          value={form.name}
          onChange={(event) => change({ name: event.currentTarget.value })}
          error={problem?.of("name")}
          className={css.name}
        />
        <BrokerFields
          form={form}
          change={change}
          problem={problem}
          preset={preset}
          stored={integration.has_secrets}
        />
        <Certificates integration={integration} />
        {unsaved && <ProblemAlert error={unsaved} />}
        {manages && (
          <div className={css.trial}>
            <p className={css.address}>
              Tests what stands above, also before it is saved; a secret that is left empty is the one that is
              held.
            </p>
            <ConnectionTest
              address={`/v1/integrations/${integration.id}/test`}
              body={() => ({ settings: changeOf(form) })}
              protocol={form.protocol}
              onProblem={setTried}
            />
          </div>
        )}
        {manages && (
          <div className={css.end}>
            <Button type="submit" loading={saving.isPending}>
              Save
            </Button>
          </div>
        )}
      </form>
    </Card>
  );
}
