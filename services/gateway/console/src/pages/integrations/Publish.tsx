import { Button, Checkbox, SegmentedControl, Textarea, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { Send } from "lucide-react";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
import type { IntegrationView } from "@/api/schema";
import { useSession } from "@/api/session";
import { ProblemAlert } from "@/ui/Feedback";
import { Card } from "@/ui/Page";
import { Status } from "@/ui/Status";
import css from "./Integrations.module.css";

/** Sends one message to the broker, and says what it answered. */
export function Publish({ integration }: { integration: IntegrationView }) {
  const may = useSession().can("publish");
  const [topic, setTopic] = useState("");
  const [payload, setPayload] = useState("");
  const [qos, setQos] = useState("1");
  const [retain, setRetain] = useState(false);
  const sending = useMutation({
    mutationFn: () =>
      ok(
        api.POST("/v1/integrations/{id}/publish", {
          params: { path: { id: integration.id } },
          body: { topic: topic.trim(), payload: payload as never, qos: Number(qos) as 0 | 1 | 2, retain },
        }),
      ),
    meta: { shown: true },
  });
  const problem = sending.error && asProblem(sending.error);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    sending.mutate();
  };
  if (!may) {
    return (
      <Card title="Publish a message">
        <p className={css.address}>This takes a key with the scope publish.</p>
      </Card>
    );
  }
  return (
    <Card title="Publish a message">
      <form onSubmit={submit} className={css.stack}>
        <TextInput
          label="Topic"
          placeholder="commands/boiler-7/set"
          value={topic}
          onChange={(event) => setTopic(event.currentTarget.value)}
          classNames={{ input: css.code }}
          required
          withAsterisk={false}
          error={problem?.of("topic")}
        />
        <Textarea
          label="Payload"
          placeholder='{"target": 60}'
          autosize
          minRows={4}
          maxRows={16}
          value={payload}
          onChange={(event) => setPayload(event.currentTarget.value)}
          classNames={{ input: css.code }}
          error={problem?.of("payload")}
        />
        <div className={css.options}>
          <SegmentedControl
            aria-label="QoS"
            value={qos}
            onChange={setQos}
            data={["0", "1", "2"].map((value) => ({ value, label: `QoS ${value}` }))}
          />
          <Checkbox
            label="Retain: whoever subscribes later gets it, too"
            checked={retain}
            onChange={(event) => setRetain(event.currentTarget.checked)}
          />
        </div>
        {problem && problem.errors.length === 0 && <ProblemAlert error={problem} />}
        <div className={css.end}>
          <span className={css.said} aria-live="polite">
            {sending.data && !sending.isPending && (
              <Status tone="good">
                {`${sending.data.acknowledged ? "Acknowledged" : "Sent"} in ${Math.round(sending.data.duration_ms)} ms${
                  sending.data.remark ? `: ${sending.data.remark}` : ""
                }`}
              </Status>
            )}
          </span>
          <Button
            type="submit"
            leftSection={<Send size={15} />}
            loading={sending.isPending}
            disabled={!topic.trim()}
          >
            Publish
          </Button>
        </div>
      </form>
    </Card>
  );
}
