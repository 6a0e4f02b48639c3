import { Check, LoaderCircle, X } from "lucide-react";
import type { ReactNode } from "react";
import type { CredentialView } from "@/api/schema";
import { Card } from "@/ui/Page";
import { Time } from "@/ui/Time";
import css from "./Connect.module.css";
import { topicOf } from "./snippets";
import { type Message, type Refusal, useWatch } from "./useWatch";

/** Turns green by itself when the first message comes, and says what went wrong where it does not. */
export function Watch({ credential, enabled }: { credential: CredentialView; enabled: boolean }) {
  const { connected, address, message, refusal, stream } = useWatch(credential, enabled);
  if (!enabled) {
    return (
      <Card title="What arrives">
        <p className={css.words}>To see messages as they come takes a key with the scope read.</p>
      </Card>
    );
  }
  const arrived = message !== null;
  return (
    <Card title="What arrives" className={arrived ? css.arrived : undefined}>
      <ol className={css.steps} aria-live="polite">
        <Step
          state={connected || arrived ? "done" : refusal ? "bad" : "waiting"}
          title={connected || arrived ? "Connected" : "Waiting for a connection"}
        >
          {connected && address
            ? `From ${address}.`
            : !connected && !arrived && "Run the example: this changes by itself."}
        </Step>
        {refusal && (
          <Step state="bad" title={refusal.summary || "Refused"}>
            {advice(refusal, credential)} <span className="mono">{refusal.reason}</span>
          </Step>
        )}
        <Step
          state={arrived ? "done" : "waiting"}
          title={arrived ? "The first message has arrived" : "Waiting for a message"}
        >
          {message && (
            <>
              <span className={css.topic}>{message.topic}</span>
              <code className={css.payload}>{shown(message)}</code>
              <span>
                QoS {message.qos}, <Time at={message.received_at} as="time" />
              </span>
              {message.failure && (
                <span className={css.failure}>
                  It is stored, but could not be decoded: <span className="mono">{message.failure}</span>
                </span>
              )}
            </>
          )}
        </Step>
      </ol>
      {stream.is === "waiting" && <p className={css.words}>{stream.problem.title}. Trying again.</p>}
    </Card>
  );
}

const ICONS = { done: Check, bad: X, waiting: LoaderCircle };

function Step({
  state,
  title,
  children,
}: {
  state: keyof typeof ICONS;
  title: string;
  children?: ReactNode;
}) {
  const Icon = ICONS[state];
  return (
    <li className={`${css.step} ${css[state]}`}>
      <span className={css.sign} aria-hidden>
        <Icon size={15} strokeWidth={2.6} />
      </span>
      <div className={css.stepWords}>
        <strong className={css.stepTitle}>{title}</strong>
        {children && <div className={css.detail}>{children}</div>}
      </div>
    </li>
  );
}

const CHARS_MAX = 1000;

function shown(message: Message): string {
  const text = message.encoding === "utf-8" ? message.payload : `${message.payload} (base64)`;
  return text.length > CHARS_MAX ? `${text.slice(0, CHARS_MAX)} …` : text;
}

/** What to do about it. */
function advice(refusal: Refusal, credential: CredentialView): string {
  switch (refusal.reason) {
    case "connect.unknown":
      return "The password is not that of this credential. Copy it again, or rotate it.";
    case "connect.client_id":
      return `The device called itself “${refusal.clientId}”. Its client id must be ${credential.client_id}, or that with a suffix: ${credential.client_id}-1.`;
    case "connect.revoked":
      return "Issue another credential.";
    case "connect.expired":
      return "Its time is over: issue another credential.";
    case "connect.limit":
      return "Too many connections are open: see Limits.";
    case "connect.flood":
      return "It tries too often. Let it wait longer between two tries.";
    case "topic.forbidden":
      return `It published to “${refusal.topic}”, which it may not. Publish to ${topicOf(credential)}, or change the permissions.`;
    case "filter.forbidden":
      return `It subscribed to “${refusal.topic}”, which it may not. Change the filter or the permissions.`;
    default:
      return "";
  }
}
