import { Alert, Anchor, Button, PasswordInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useRouter, useSearch } from "@tanstack/react-router";
import { type FormEvent, useEffect, useState } from "react";
import { queryClient } from "@/api/queries";
import { sessionQuery, signIn } from "@/api/session";
import { Logo } from "@/shell/Logo";
import { SchemeToggle } from "@/shell/Shell";
import { ProblemAlert } from "@/ui/Feedback";
import css from "./SignIn.module.css";

/** A key for a session; the key itself goes nowhere but into the sealed cookie. */
export function SignIn() {
  const { to, ended } = useSearch({ from: "/sign-in" });
  const router = useRouter();
  const [key, setKey] = useState("");
  const entering = useMutation({
    mutationFn: signIn,
    meta: { shown: true },
    onSuccess: async (session) => {
      queryClient.setQueryData(sessionQuery.queryKey, session);
      router.history.push(
        to?.startsWith("/") && !to.startsWith("//") ? to.replace(/^\/console/, "") || "/" : "/",
      );
    },
  });
  useEffect(() => {
    document.title = "Sign in · HybridMQ";
  }, []);
  useEffect(() => {
    if (!ended) return;
    queryClient.clear(); // here, where no page is left that needs the session
    queryClient.setQueryData(sessionQuery.queryKey, null);
  }, [ended]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    entering.mutate(key.trim());
  };
  return (
    <div className={css.page}>
      <div className={css.corner}>
        <SchemeToggle />
      </div>
      <main className={css.main}>
        <Logo plain />
        <form className={css.form} onSubmit={submit}>
          <h1 className={css.title}>Sign in</h1>
          <p className={css.words}>With an API key of your organization, or with the admin key.</p>
          {ended && !entering.error && (
            <Alert color="gray" variant="light" role="status">
              Your session has ended: its time was over, or its key was revoked. You come back to where you
              were.
            </Alert>
          )}
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
            autoFocus
            visibilityToggleButtonProps={{ "aria-label": "Show the key" }}
          />
          {entering.error && <ProblemAlert error={entering.error} />}
          <Button type="submit" size="md" fullWidth loading={entering.isPending} disabled={!key.trim()}>
            Sign in
          </Button>
          <p className={css.small}>
            On the machine that runs the platform, <code>make run</code> prints the admin key. All that the
            console does,{" "}
            <Anchor href="/docs" inherit underline="always">
              the API
            </Anchor>{" "}
            does.
          </p>
        </form>
      </main>
    </div>
  );
}
