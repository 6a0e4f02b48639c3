import { Button, Select, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
import type { DecoderChoice, RedecodePreview } from "@/api/schema";
import { ProblemAlert } from "@/ui/Feedback";
import { Card } from "@/ui/Page";
import { done } from "@/ui/toasts";
import { DecoderField } from "../integrations/decoder/DecoderField";
import { integrationsQuery } from "../integrations/queries";
import { Diff } from "./Diff";
import css from "./Redecode.module.css";

const DAY_MS = 86_400_000;

/** Which messages, with which decoder; a dry run says beforehand what would change. */
export function NewRedecode({ busy }: { busy: boolean }) {
  const client = useQueryClient();
  const integrations = useQuery(integrationsQuery);
  const named = useSearch({ from: "/signed/redecode" }).integration;
  const [integration, setIntegration] = useState(named ?? "hosted");
  const [from, setFrom] = useState(() => local(new Date(Date.now() - DAY_MS)));
  const [to, setTo] = useState("");
  // What reads its messages now is what history is mostly to be read with, once that was changed.
  const [own, setDecoder] = useState<DecoderChoice>();
  const held = integrations.data?.find((each) => each.id === integration)?.decoder;
  const decoder = own ?? held ?? { name: "standard", settings: {} };
  const body = {
    integration_id: integration,
    from: from ? new Date(from).toISOString() : "",
    to: to ? new Date(to).toISOString() : null,
    decoder,
  };
  const asked = JSON.stringify(body);
  const [shownFor, setShownFor] = useState("");
  const trying = useMutation({
    mutationFn: () => ok(api.POST("/v1/redecode", { body: { ...body, dry_run: true } })),
    meta: { shown: true },
    onMutate: () => setShownFor(asked),
  });
  const ordering = useMutation({
    mutationFn: () => ok(api.POST("/v1/redecode", { body: { ...body, dry_run: false } })),
    meta: { shown: true },
    onSuccess: () => {
      trying.reset();
      done("Ordered", { words: "Its progress is shown below." });
      return client.invalidateQueries({ queryKey: ["redecode"] });
    },
  });
  const failure = ordering.error ?? trying.error;
  const problem = failure ? asProblem(failure) : null;
  const preview = shownFor === asked ? (trying.data as RedecodePreview | undefined) : undefined;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    ordering.reset();
    trying.mutate();
  };
  return (
    <Card title="Decode again">
      <form onSubmit={submit} className={css.form}>
        <div className={css.span}>
          <Select
            label="Messages of"
            data={integrations.data?.map((each) => ({ value: each.id, label: each.name })) ?? []}
            value={integration}
            onChange={(next) => {
              setIntegration(next ?? "hosted");
              setDecoder(undefined);
            }}
            allowDeselect={false}
            error={problem?.of("integration_id")}
          />
          <TextInput
            type="datetime-local"
            label="From"
            value={from}
            onChange={(event) => setFrom(event.currentTarget.value)}
            required
            withAsterisk={false}
            error={problem?.of("from")}
          />
          <TextInput
            type="datetime-local"
            label="To (empty: now)"
            value={to}
            onChange={(event) => setTo(event.currentTarget.value)}
            error={problem?.of("to")}
          />
        </div>
        <DecoderField
          key={`${integration} ${held?.name}`}
          decoder={decoder}
          onChange={setDecoder}
          integration={integration}
          problem={problem}
        />
        {problem && <ProblemAlert error={problem} />}
        {preview && <Diff preview={preview} />}
        <div className={css.end}>
          <Button
            type="submit"
            variant={preview ? "default" : "filled"}
            loading={trying.isPending}
            disabled={!from}
          >
            What would change?
          </Button>
          {preview && (
            <Button
              onClick={() => ordering.mutate()}
              loading={ordering.isPending}
              disabled={busy || preview.messages === 0}
            >
              Decode again
            </Button>
          )}
        </div>
        {preview && busy && (
          <p className={css.dim}>One job at a time: wait for the one below, or cancel it.</p>
        )}
      </form>
    </Card>
  );
}

/** What a field of type datetime-local takes. */
function local(at: Date): string {
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
