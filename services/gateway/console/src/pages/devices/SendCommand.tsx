import { Button, Checkbox, Input, SegmentedControl, Select, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Send } from "lucide-react";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
import { useSession } from "@/api/session";
import { integrationsQuery } from "@/pages/integrations/queries";
import { ProblemAlert } from "@/ui/Feedback";
import { Card } from "@/ui/Page";
import css from "./Device.module.css";
import { commandsQuery, lastMessageQuery } from "./queries";

const HOSTED = "hosted";
const LOOK_S = 0.5; // an answer is expected where somebody waits; the list shows what comes later
const ANSWERS = [
  { value: "0", label: "None is expected" },
  { value: "10", label: "Within 10 seconds" },
  { value: "60", label: "Within a minute" },
  { value: "600", label: "Within 10 minutes" },
  { value: "3600", label: "Within an hour" },
  { value: "86400", label: "Within a day" },
];
const ENDS = [
  { value: "60", label: "A minute" },
  { value: "600", label: "10 minutes" },
  { value: "3600", label: "An hour" },
  { value: "86400", label: "A day" },
];

const SHOWN = [
  "name",
  "topic",
  "payload",
  "payload_base64",
  "qos",
  "wait_s",
  "expires_in_s",
  "response_topic",
];
const EMPTY = {
  by: null as string | null,
  name: "",
  topic: "",
  payload: "",
  coding: "text" as "text" | "base64",
  qos: "1",
  retain: false,
  within: "0",
  ends: "60",
  response: "",
};
// What is typed stays while other pages are looked at, and through a session that ends: it is of this tab's memory.
const drafts = new Map<string, typeof EMPTY>();
const DRAFTS_MOST = 50;

function useDraft(key: string) {
  const [draft, setDraft] = useState(() => drafts.get(key) ?? EMPTY);
  const change = (next: Partial<typeof EMPTY>) =>
    setDraft((before) => {
      const after = { ...before, ...next };
      drafts.delete(key);
      drafts.set(key, after);
      const [oldest] = drafts.keys();
      if (drafts.size > DRAFTS_MOST && oldest !== undefined) drafts.delete(oldest);
      return after;
    });
  return [draft, change] as const;
}

/** Over the hosted broker by a name, over a broker of one's own by a topic. */
export function SendCommand({ id }: { id: string }) {
  const client = useQueryClient();
  const integrations = useQuery(integrationsQuery);
  const last = useQuery(lastMessageQuery(id));
  const { organization } = useSession();
  const [draft, change] = useDraft(`${organization} ${id}`);
  const { name, topic, payload, coding, qos, retain, within, ends, response } = draft;
  const own = (integrations.data ?? []).filter((each) => each.broker_type === "external");
  const by = draft.by ?? own.find((each) => each.id === last.data?.integration_id)?.id ?? HOSTED;
  const send = useMutation({
    mutationFn: () =>
      ok(
        api.POST("/v1/devices/{id}/commands", {
          params: { path: { id } },
          body: {
            ...(by === HOSTED
              ? { name: name.trim() }
              : { topic: topic.trim(), integration_id: by, response_topic: response.trim() || undefined }),
            ...(within === "0"
              ? { wait_s: 0, expires_in_s: Number(ends) }
              : { wait_s: LOOK_S, expires_in_s: Number(within) }),
            ...(coding === "text" ? { payload: payload as never } : { payload_base64: payload.trim() }),
            qos: Number(qos) as 0 | 1 | 2,
            retain,
          },
        }),
      ),
    meta: { shown: true },
    onSuccess: (sent) => {
      change({ payload: "" });
      // Seen at once; the list, which is read from the log, has it a moment later.
      client.setQueryData(commandsQuery(id).queryKey, (before) =>
        before?.items.some((each) => each.id === sent.id)
          ? before
          : before && { ...before, items: [sent, ...before.items] },
      );
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    send.mutate();
  };
  const problem = send.error && asProblem(send.error);
  const elsewhere = problem?.errors.every((each) => !SHOWN.includes(each.field));
  return (
    <Card title="Send a command">
      <form onSubmit={submit} className={css.form}>
        {own.length > 0 && (
          <Select
            label="Over"
            data={[
              { value: HOSTED, label: "Hosted broker" },
              ...own.map((each) => ({ value: each.id, label: each.name })),
            ]}
            value={by}
            onChange={(by) => change({ by })}
          />
        )}
        {by === HOSTED ? (
          <TextInput
            label="Name"
            description={`Goes to commands/${id}/${name.trim() || "…"}/<id>`}
            placeholder="restart"
            value={name}
            error={problem?.of("name")}
            onChange={(event) => change({ name: event.currentTarget.value })}
          />
        ) : (
          <TextInput
            label="Topic"
            description="Whole, as your broker knows it"
            placeholder={`plant/${id}/set`}
            classNames={{ input: "mono" }}
            value={topic}
            error={problem?.of("topic")}
            onChange={(event) => change({ topic: event.currentTarget.value })}
          />
        )}
        <Textarea
          label="Payload"
          description={coding === "text" ? "Sent as it is: JSON, or any text" : "Any bytes, as base64"}
          placeholder={coding === "text" ? '{"after_s": 5}' : "AQIDBA=="}
          classNames={{ input: "mono" }}
          autosize
          minRows={2}
          maxRows={8}
          spellCheck={false}
          value={payload}
          error={problem?.of("payload") ?? problem?.of("payload_base64")}
          onChange={(event) => change({ payload: event.currentTarget.value })}
        />
        <SegmentedControl
          size="xs"
          aria-label="Written as"
          data={[
            { value: "text", label: "Text" },
            { value: "base64", label: "Base64" },
          ]}
          value={coding}
          onChange={(coding) => change({ coding })}
        />
        <div className={css.quality}>
          <SegmentedControl
            aria-label="QoS"
            value={qos}
            onChange={(qos) => change({ qos })}
            data={["0", "1", "2"].map((value) => ({ value, label: `QoS ${value}` }))}
          />
          <Checkbox
            label="Retain"
            checked={retain}
            onChange={(event) => change({ retain: event.currentTarget.checked })}
          />
          <Input.Description>
            {qos === "0" ? "Nobody acknowledges it: it ends as sent. " : ""}
            {retain ? "The broker keeps it: who subscribes later gets it, too, also after its time." : ""}
          </Input.Description>
          {problem?.of("qos") && <Input.Error>{problem.of("qos")}</Input.Error>}
        </div>
        <Select
          label="Answer"
          description={by === HOSTED ? `Comes on devices/${id}/responses/<id>` : undefined}
          data={ANSWERS}
          value={within}
          onChange={(value) => change({ within: value ?? "0" })}
          error={problem?.of("wait_s")}
        />
        {within === "0" && (
          <Select
            label="Given up after"
            description="Where its broker is away, it is sent later, but not later than this"
            data={ENDS}
            value={ends}
            onChange={(value) => change({ ends: value ?? "60" })}
            error={problem?.of("expires_in_s")}
          />
        )}
        {by !== HOSTED && within !== "0" && (
          <TextInput
            label="Answer's topic"
            description="An answer with a correlation_id says which command it is for; else it is the oldest that waits"
            placeholder={`devices/${id}/responses/<id>`}
            classNames={{ input: "mono" }}
            value={response}
            error={problem?.of("response_topic")}
            onChange={(event) => change({ response: event.currentTarget.value })}
          />
        )}
        {problem && elsewhere && <ProblemAlert error={problem} />}
        <div>
          <Button
            type="submit"
            leftSection={<Send size={16} />}
            loading={send.isPending}
            disabled={!(by === HOSTED ? name : topic).trim()}
          >
            Send
          </Button>
        </div>
      </form>
    </Card>
  );
}
