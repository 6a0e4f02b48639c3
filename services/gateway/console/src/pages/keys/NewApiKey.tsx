import { Button, Checkbox, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
import { SCOPE_WORDS, type Scope } from "@/api/session";
import { ProblemAlert } from "@/ui/Feedback";
import css from "@/ui/List.module.css";

const SCOPES = Object.keys(SCOPE_WORDS) as Scope[];

export function NewApiKey({ onIssued }: { onIssued: (key: { id: string; secret: string }) => void }) {
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<Scope[]>(["read"]);
  const [expires, setExpires] = useState("");
  const creating = useMutation({
    mutationFn: () =>
      ok(
        api.POST("/v1/api-keys", {
          body: {
            name: name.trim(),
            scopes,
            ...(expires && { expires_at: new Date(expires).toISOString() }),
          },
        }),
      ),
    meta: { shown: true },
    onSuccess: (key) => {
      void client.invalidateQueries({ queryKey: ["api-keys"] });
      onIssued({ id: key.id, secret: key.secret });
    },
  });
  const problem = creating.error && asProblem(creating.error);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    creating.mutate();
  };
  return (
    <form onSubmit={submit} className={css.form}>
      <TextInput
        label="Name"
        placeholder="Dashboard"
        required
        maxLength={100}
        data-autofocus
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        error={problem?.of("name")}
      />
      <Checkbox.Group
        label="It may"
        value={scopes}
        onChange={(next) => setScopes(next as Scope[])}
        error={problem?.of("scopes")}
      >
        <div className={css.form}>
          <span />
          {SCOPES.map((scope) => (
            <Checkbox key={scope} value={scope} label={scope} description={SCOPE_WORDS[scope]} />
          ))}
        </div>
      </Checkbox.Group>
      <TextInput
        type="datetime-local"
        label="Expires"
        description="Empty: never."
        value={expires}
        onChange={(event) => setExpires(event.currentTarget.value)}
        error={problem?.of("expires_at")}
      />
      {problem && !problem.errors.length && <ProblemAlert error={problem} />}
      <Button type="submit" fullWidth loading={creating.isPending} disabled={scopes.length === 0}>
        Create
      </Button>
    </form>
  );
}
