import { Button, SegmentedControl, Textarea, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
import type { CredentialView } from "@/api/schema";
import { useSession } from "@/api/session";
import { ProblemAlert } from "@/ui/Feedback";
import { Card, Columns } from "@/ui/Page";
import { Status } from "@/ui/Status";
import { done } from "@/ui/toasts";
import { lines } from "./NewCredential";
import css from "./Permissions.module.css";

/** Which topics it may use; and, before a device is asked, whether a topic would be allowed. */
export function Permissions({ credential }: { credential: CredentialView }) {
  return (
    <Columns min={400}>
      <Filters key={`${credential.publish} ${credential.subscribe}`} credential={credential} />
      <Check credential={credential} />
    </Columns>
  );
}

function Filters({ credential }: { credential: CredentialView }) {
  const client = useQueryClient();
  const manages = useSession().can("manage_credentials") && credential.state === "active";
  const [publish, setPublish] = useState(credential.publish.join("\n"));
  const [subscribe, setSubscribe] = useState(credential.subscribe.join("\n"));
  const before = { publish: credential.publish, subscribe: credential.subscribe };
  const saving = useMutation({
    mutationFn: (acl: { publish: string[]; subscribe: string[] }) =>
      ok(api.PUT("/v1/credentials/{id}/acl", { params: { path: { id: credential.id } }, body: acl })),
    meta: { shown: true },
    onSuccess: (_, acl) => {
      if (acl !== before) {
        done("The permissions are changed", {
          words: "What was taken away ends now; what was added holds from the device's next connect.",
          undo: () => saving.mutate(before),
        });
      }
      return client.invalidateQueries({ queryKey: ["credentials", credential.id] });
    },
  });
  const problem = saving.error && asProblem(saving.error);
  const wanted = { publish: lines(publish), subscribe: lines(subscribe) };
  const changed =
    wanted.publish.join("\n") !== before.publish.join("\n") ||
    wanted.subscribe.join("\n") !== before.subscribe.join("\n");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    saving.mutate(wanted);
  };
  return (
    <Card title="Topics">
      <form onSubmit={submit} className={css.form}>
        <Textarea
          label="May publish to"
          description="A filter a line: + is one level, # all that follow. {device_id} and {client_id} are filled in at each connect."
          autosize
          minRows={2}
          maxRows={12}
          value={publish}
          onChange={(event) => setPublish(event.currentTarget.value)}
          classNames={{ input: css.filters }}
          readOnly={!manages}
          error={problem?.of("publish")}
        />
        <Textarea
          label="May subscribe to"
          autosize
          minRows={2}
          maxRows={12}
          value={subscribe}
          onChange={(event) => setSubscribe(event.currentTarget.value)}
          classNames={{ input: css.filters }}
          readOnly={!manages}
          error={problem?.of("subscribe")}
        />
        {!manages && (
          <p className={css.words}>
            {credential.state === "active"
              ? "To change them takes a key with the scope manage_credentials."
              : "It has ended: they can no longer be changed."}
          </p>
        )}
        {problem && !problem.of("publish") && !problem.of("subscribe") && <ProblemAlert error={problem} />}
        {manages && (
          <div className={css.buttons}>
            <Button
              variant="default"
              disabled={!changed}
              onClick={() => {
                setPublish(before.publish.join("\n"));
                setSubscribe(before.subscribe.join("\n"));
              }}
            >
              Reset
            </Button>
            <Button type="submit" disabled={!changed} loading={saving.isPending}>
              Save
            </Button>
          </div>
        )}
      </form>
    </Card>
  );
}

function Check({ credential }: { credential: CredentialView }) {
  const [action, setAction] = useState("publish");
  const [topic, setTopic] = useState(
    `${credential.topic_prefix}/devices/${credential.device_id ?? "device"}/telemetry`,
  );
  const [asked] = useDebouncedValue(topic.trim(), 250);
  const query = useQuery({
    queryKey: [
      "credentials",
      credential.id,
      "check",
      action,
      asked,
      credential.publish,
      credential.subscribe,
    ],
    queryFn: () =>
      ok(
        api.GET("/v1/credentials/{id}/acl/check", {
          params: { path: { id: credential.id }, query: { action, topic: asked } },
        }),
      ),
    enabled: asked !== "",
    retry: false,
    placeholderData: (last) => last,
  });
  return (
    <Card title="Would this topic be allowed?">
      <div className={css.form}>
        <SegmentedControl
          aria-label="To do what"
          value={action}
          onChange={setAction}
          data={[
            { value: "publish", label: "Publish" },
            { value: "subscribe", label: "Subscribe" },
          ]}
        />
        <TextInput
          label={action === "publish" ? "Topic" : "Topic or filter"}
          value={topic}
          onChange={(event) => setTopic(event.currentTarget.value)}
          classNames={{ input: css.filters }}
          error={query.error && asProblem(query.error).message}
        />
        <div aria-live="polite" className={css.answer}>
          {query.data && !query.error && (
            <>
              <Status tone={query.data.allowed ? "good" : "bad"}>
                {query.data.allowed ? "Allowed" : "Not allowed"}
              </Status>
              <span className={css.why}>
                {query.data.filter ? (
                  <>
                    by <code className="mono break">{query.data.filter}</code>
                  </>
                ) : (
                  denied(credential, action)
                )}
              </span>
            </>
          )}
        </div>
      </div>
    </Card>
  );
}

/** Why it is not allowed, and what the device would see. */
function denied(credential: CredentialView, action: string): string {
  if (credential.state !== "active")
    return `The credential is ${credential.state}: nothing is allowed any more.`;
  return action === "publish"
    ? "No filter covers it. The broker would take the message, acknowledge it and drop it; Activity tells of it."
    : "No filter covers it. The broker would refuse the subscription; Activity tells of it.";
}
