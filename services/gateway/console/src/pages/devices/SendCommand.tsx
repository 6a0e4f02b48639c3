import { Button, Select, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Send } from "lucide-react";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
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
];

/** Over the hosted broker by a name, over a broker of one's own by a topic. */
export function SendCommand({ id }: { id: string }) {
  const client = useQueryClient();
  const integrations = useQuery(integrationsQuery);
  const last = useQuery(lastMessageQuery(id));
  const [chosen, setChosen] = useState<string | null>(null);
  const [name, setName] = useState("");
  const [topic, setTopic] = useState("");
  const [payload, setPayload] = useState("");
  const [within, setWithin] = useState("0");
  const [response, setResponse] = useState("");
  const own = (integrations.data ?? []).filter((each) => each.broker_type === "external");
  const by = chosen ?? own.find((each) => each.id === last.data?.integration_id)?.id ?? HOSTED;
  const send = useMutation({
    mutationFn: () =>
      ok(
        api.POST("/v1/devices/{id}/commands", {
          params: { path: { id } },
          body: {
            ...(by === HOSTED
              ? { name: name.trim() }
              : { topic: topic.trim(), integration_id: by, response_topic: response.trim() || undefined }),
            ...(within === "0" ? { wait_s: 0 } : { wait_s: LOOK_S, expires_in_s: Number(within) }),
            payload: payload as never,
            qos: 1,
            retain: false,
          },
        }),
      ),
    meta: { shown: true },
    onSuccess: () => {
      setPayload("");
      return client.invalidateQueries({ queryKey: commandsQuery(id).queryKey });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    send.mutate();
  };
  const problem = send.error && asProblem(send.error);
  const field = by === HOSTED ? "name" : "topic";
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
            onChange={setChosen}
          />
        )}
        {by === HOSTED ? (
          <TextInput
            label="Name"
            description={`Goes to commands/${id}/${name.trim() || "…"}/<id>`}
            placeholder="restart"
            value={name}
            error={problem?.of("name")}
            onChange={(event) => setName(event.currentTarget.value)}
          />
        ) : (
          <TextInput
            label="Topic"
            description="Whole, as your broker knows it"
            placeholder={`plant/${id}/set`}
            classNames={{ input: "mono" }}
            value={topic}
            error={problem?.of("topic")}
            onChange={(event) => setTopic(event.currentTarget.value)}
          />
        )}
        <Textarea
          label="Payload"
          description="Sent as it is: JSON, or any text"
          placeholder='{"after_s": 5}'
          classNames={{ input: "mono" }}
          autosize
          minRows={2}
          maxRows={8}
          spellCheck={false}
          value={payload}
          error={problem?.of("payload")}
          onChange={(event) => setPayload(event.currentTarget.value)}
        />
        <Select
          label="Answer"
          description={by === HOSTED ? `Comes on devices/${id}/responses/<id>` : undefined}
          data={ANSWERS}
          value={within}
          onChange={(value) => setWithin(value ?? "0")}
        />
        {by !== HOSTED && within !== "0" && (
          <TextInput
            label="Answer's topic"
            description="An answer with a correlation_id says which command it is for; else it is the oldest that waits"
            placeholder={`devices/${id}/responses/<id>`}
            classNames={{ input: "mono" }}
            value={response}
            error={problem?.of("response_topic")}
            onChange={(event) => setResponse(event.currentTarget.value)}
          />
        )}
        {problem && !problem.of(field) && !problem.of("payload") && <ProblemAlert error={problem} />}
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
