import { Button, PasswordInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { type Session, signIn } from "@/api/session";
import { ProblemAlert } from "@/ui/Feedback";
import css from "./KeyForm.module.css";

/** Asks for an API key, and signs in with it. */
export function KeyForm({ onSigned }: { onSigned: (session: Session) => void }) {
  const [key, setKey] = useState("");
  const entering = useMutation({ mutationFn: signIn, meta: { shown: true }, onSuccess: onSigned });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    entering.mutate(key.trim());
  };
  return (
    <form className={css.form} onSubmit={submit}>
      <PasswordInput
        label="API key"
        placeholder="hmq_key_…"
        value={key}
        onChange={(event) => setKey(event.currentTarget.value)}
        autoComplete="current-password"
        name="key"
        size="md"
        required
        withAsterisk={false}
        data-autofocus
        data-mantine-stop-propagation="true" // Escape would close a dialog below this one
        autoFocus
        visibilityToggleButtonProps={{ "aria-label": "Show the key" }}
      />
      {entering.error && <ProblemAlert error={entering.error} />}
      <Button type="submit" size="md" fullWidth loading={entering.isPending} disabled={!key.trim()}>
        Sign in
      </Button>
    </form>
  );
}
