import { Button, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Send, Terminal } from "lucide-react";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
import type { DeviceCommandView } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered, Empty, ProblemAlert } from "@/ui/Feedback";
import { Card } from "@/ui/Page";
import { Status, type Tone } from "@/ui/Status";
import { Time } from "@/ui/Time";
import css from "./Device.module.css";
import { commandsQuery } from "./queries";

const TONES: Record<string, Tone> = {
  queued: "idle",
  sent: "idle",
  delivered: "good",
  answered: "good",
  failed: "bad",
  expired: "warn",
};

/** What the device was told to do, and what came of it. */
export function Commands({ id }: { id: string }) {
  const session = useSession();
  const query = useQuery(commandsQuery(id));
  const items = query.data?.items ?? [];
  return (
    <div className={css.commands}>
      {session.can("publish") && <SendCommand id={id} />}
      <Card title="Commands" flush>
        <Answered query={query}>
          {items.length === 0 ? (
            <Empty icon={Terminal} title="No commands yet">
              A command goes to the topic that the device listens on. Here is seen whether it was delivered,
              and what the device answered.
            </Empty>
          ) : (
            <ul className={css.list}>
              {items.map((command) => (
                <CommandRow key={command.id} command={command} />
              ))}
            </ul>
          )}
        </Answered>
      </Card>
    </div>
  );
}

function CommandRow({ command }: { command: DeviceCommandView }) {
  const pending = command.state === "queued" || command.state === "sent";
  return (
    <li className={css.command}>
      <div className={css.commandHead}>
        <Status tone={TONES[command.state] ?? "idle"} pulse={pending}>
          {command.state}
        </Status>
        <span className={`${css.commandTopic} mono break`}>{command.topic}</span>
        <Time at={command.queued_at} as="ago" />
      </div>
      <code className={css.commandPayload}>{command.payload || "(empty)"}</code>
      {command.failure && (
        <p className={css.failure}>
          {command.failure.detail} ({command.failure.code})
        </p>
      )}
      {command.answer && (
        <p className={css.answer}>
          The device answered: <code>{command.answer.payload}</code>
        </p>
      )}
    </li>
  );
}

function SendCommand({ id }: { id: string }) {
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [payload, setPayload] = useState("");
  const send = useMutation({
    mutationFn: () =>
      ok(
        api.POST("/v1/devices/{id}/commands", {
          params: { path: { id } },
          body: { name, payload, qos: 1, retain: false, wait_s: 0 },
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
  return (
    <Card title="Send a command">
      <form onSubmit={submit} className={css.form}>
        <TextInput
          label="Name"
          description={`Goes to commands/${id}/${name || "…"}/<id>`}
          placeholder="restart"
          value={name}
          error={problem?.of("name")}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Textarea
          label="Payload"
          description="Sent as it is: JSON, or any text"
          placeholder='{"after_s": 5}'
          autosize
          minRows={2}
          maxRows={8}
          value={payload}
          error={problem?.of("payload")}
          onChange={(event) => setPayload(event.currentTarget.value)}
        />
        {problem && !problem.of("name") && !problem.of("payload") && <ProblemAlert error={problem} />}
        <div>
          <Button
            type="submit"
            leftSection={<Send size={16} />}
            loading={send.isPending}
            disabled={!name.trim()}
          >
            Send
          </Button>
        </div>
      </form>
    </Card>
  );
}
