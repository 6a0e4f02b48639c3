import { useQuery } from "@tanstack/react-query";
import { Terminal } from "lucide-react";
import type { DeviceCommandView } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered, Empty } from "@/ui/Feedback";
import { Card } from "@/ui/Page";
import { Status, type Tone } from "@/ui/Status";
import { Time } from "@/ui/Time";
import css from "./Device.module.css";
import { commandsQuery, underWay } from "./queries";
import { SendCommand } from "./SendCommand";

const TONES: Record<DeviceCommandView["state"], Tone> = {
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
  const pending = command.state !== "delivered" && underWay(command);
  return (
    <li className={css.command}>
      <div className={css.commandHead}>
        <Status tone={TONES[command.state]} pulse={pending}>
          {command.state}
        </Status>
        <span className={`${css.commandTopic} mono break`}>{command.topic}</span>
        <Time at={command.queued_at} as="ago" />
      </div>
      <code className={css.commandPayload}>{words(command)}</code>
      <p className={css.steps}>{steps(command)}</p>
      {command.failure && (
        <p className={css.failure}>
          {command.failure.detail} ({command.failure.code})
        </p>
      )}
      {command.state === "expired" && (
        <p className={css.late}>
          {command.delivered_at
            ? "The broker had it, but no answer came in time."
            : "It could not be delivered in time, and will not be sent any more."}
        </p>
      )}
      {command.answer && (
        <p className={css.answer}>
          The device answered: <code>{words(command.answer)}</code>
        </p>
      )}
    </li>
  );
}

const words = ({ payload, encoding }: { payload: string; encoding: string }): string =>
  payload === "" ? "(empty)" : encoding === "base64" ? `${payload} (base64)` : payload;

/** "sent after 4 ms, delivered after 9 ms, answered after 140 ms" */
function steps({
  queued_at,
  sent_at,
  delivered_at,
  ended_at,
  state,
  remark,
  attempts,
  qos,
  retain,
}: DeviceCommandView): string {
  const from = Date.parse(queued_at);
  const after = (what: string, at: string | null | undefined) =>
    at && `${what} after ${took(Date.parse(at) - from)}`;
  return [
    after("sent", sent_at),
    after("delivered", delivered_at),
    after(state, ended_at),
    `QoS ${qos}${retain ? ", retained" : ""}`,
    (attempts ?? 0) > 1 && `${attempts} attempts`,
    remark,
  ]
    .filter(Boolean)
    .join(", ");
}

const took = (ms: number): string =>
  ms < 1000 ? `${Math.max(0, Math.round(ms))} ms` : `${(ms / 1000).toFixed(1)} s`;
