import { Anchor } from "@mantine/core";
import { useRouter, useSearch } from "@tanstack/react-router";
import { useEffect } from "react";
import { queryClient } from "@/api/queries";
import { sessionQuery } from "@/api/session";
import { KeyForm } from "@/shell/KeyForm";
import { Logo } from "@/shell/Logo";
import { SchemeToggle } from "@/shell/Shell";
import css from "./SignIn.module.css";

/** A key for a session; the key itself goes nowhere but into the sealed cookie. */
export function SignIn() {
  const { to } = useSearch({ from: "/sign-in" });
  const router = useRouter();
  useEffect(() => {
    document.title = "Sign in · HybridMQ";
  }, []);
  return (
    <div className={css.page}>
      <div className={css.corner}>
        <SchemeToggle />
      </div>
      <main className={css.main}>
        <Logo plain />
        <div className={css.form}>
          <h1 className={css.title}>Sign in</h1>
          <p className={css.words}>With an API key of your organization, or with the admin key.</p>
          <KeyForm
            onSigned={(session) => {
              queryClient.setQueryData(sessionQuery.queryKey, session);
              router.history.push(
                to?.startsWith("/") && !to.startsWith("//") ? to.replace(/^\/console/, "") || "/" : "/",
              );
            }}
          />
          <p className={css.small}>
            On the machine that runs the platform, <code>make run</code> prints the admin key. All that the
            console does,{" "}
            <Anchor href="/docs" inherit underline="always">
              the API
            </Anchor>{" "}
            does.
          </p>
        </div>
      </main>
    </div>
  );
}
