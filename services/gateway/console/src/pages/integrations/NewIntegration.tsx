import { Button, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem, type Problem } from "@/api/problem";
import type { Preset } from "@/api/schema";
import { Answered, ProblemAlert } from "@/ui/Feedback";
import { Card, Page } from "@/ui/Page";
import { done } from "@/ui/toasts";
import { BrokerFields } from "./BrokerFields";
import { ConnectionTest } from "./ConnectionTest";
import { DecoderField } from "./decoder/DecoderField";
import { type BrokerForm, EMPTY, fromPreset, settingsOf } from "./form";
import css from "./Integrations.module.css";
import { presetsQuery } from "./queries";
import { TopicsField } from "./TopicsField";

/** From a preset to a broker that is connected. */
export function NewIntegration() {
  const presets = useQuery(presetsQuery);
  const [preset, setPreset] = useState<Preset>();
  return (
    <Page
      title="Connect a broker"
      about="Its messages come in beside those of the hosted broker. Nothing is changed at the broker: this platform is one of its clients."
      back={{ to: "/integrations", label: "Integrations" }}
    >
      <Card title="Which broker?" flush={!presets.data}>
        <Answered query={presets} rows={3}>
          <div className={css.presets} role="radiogroup" aria-label="Kind of broker">
            {presets.data?.items.map((each) => (
              // biome-ignore lint/a11y/useSemanticElements: a card that is chosen
              <button
                key={each.id}
                type="button"
                role="radio"
                aria-checked={preset?.id === each.id}
                className={css.preset}
                onClick={() => setPreset(each)}
              >
                <strong>{each.id === "mosquitto" ? "Mosquitto, or any other" : each.name}</strong>
                <span>{each.summary}</span>
              </button>
            ))}
          </div>
        </Answered>
      </Card>
      {preset && <NewForm key={preset.id} preset={preset} />}
    </Page>
  );
}

function NewForm({ preset }: { preset: Preset }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [form, setForm] = useState<BrokerForm>(() => ({ ...EMPTY, ...fromPreset(preset) }));
  const [tested, setTested] = useState<Problem | null>(null);
  const change = (part: Partial<BrokerForm>) => setForm((before) => ({ ...before, ...part }));
  const topics = form.topics.filter((topic) => topic.filter.trim());
  const creating = useMutation({
    mutationFn: () =>
      ok(
        api.POST("/v1/integrations", {
          body: {
            name: form.name.trim() || form.host.trim(),
            settings: settingsOf(form) as never,
            decoder: form.decoder,
            ...(topics.length && { topics }),
          },
        }),
      ),
    meta: { shown: true },
    onSuccess: (made) => {
      done(`${made.name} is saved`, { words: "It connects now." });
      void client.invalidateQueries({ queryKey: ["integrations"] });
      void navigate({ to: "/integrations/$id", params: { id: made.id } });
    },
  });
  const problem = creating.error ? asProblem(creating.error) : tested;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    creating.mutate();
  };
  return (
    <form onSubmit={submit} className={css.stack}>
      <Card title="Connection">
        <TextInput
          label="Name"
          placeholder={form.host || preset.name}
          description="As it is shown here"
          inputWrapperOrder={["label", "input", "description", "error"]}
          value={form.name}
          onChange={(event) => change({ name: event.currentTarget.value })}
          error={problem?.of("name")}
          className={css.name}
        />
        <BrokerFields form={form} change={change} problem={problem} preset={preset} />
      </Card>
      <Card title="Subscriptions">
        <TopicsField
          topics={form.topics}
          onChange={(next) => change({ topics: next })}
          error={problem?.of("topics")}
        />
      </Card>
      <Card title="How messages are read">
        <DecoderField
          decoder={form.decoder}
          onChange={(decoder) => change({ decoder })}
          prefix={form.topic_prefix}
          problem={problem}
        />
      </Card>
      <Card title="Try it, and save it">
        <div className={css.stack}>
          <ConnectionTest
            address="/v1/integrations/test"
            body={() => ({ settings: settingsOf(form), ...(topics.length && { topics }) })}
            protocol={form.protocol}
            onProblem={setTested}
            disabled={!form.host.trim()}
          />
          {problem && problem.errors.length > 0 && <ProblemAlert error={problem} />}
          {creating.error && problem?.errors.length === 0 && <ProblemAlert error={creating.error} />}
          <div className={css.end}>
            <Button type="submit" loading={creating.isPending} disabled={!form.host.trim()}>
              Save and connect
            </Button>
          </div>
        </div>
      </Card>
    </form>
  );
}
