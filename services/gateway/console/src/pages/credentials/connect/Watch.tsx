import { Check, LoaderCircle, X } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import type { CredentialView } from "@/api/schema";
import { PageLink } from "@/ui/links";
import { Card } from "@/ui/Page";
import { Time } from "@/ui/Time";
import css from "./Connect.module.css";
import { topicOf } from "./filled";
import { type Message, type Refusal, useWatch } from "./useWatch";

/** Turns green by itself when the first message comes, and says what went wrong where it does not. */
export function Watch({ credential, enabled }: { credential: CredentialView; enabled: boolean }) {
  const { connected, address, message, refusal, stream, listening } = useWatch(credential, enabled);
  const arrived = message !== null;
  const silent = useLate(!connected && !arrived && !refusal);
  const waiting = listening ? "Waiting for a connection" : "Beginning to listen";
  if (!enabled) {
    return (
      <Card title="What arrives">
        <p className={css.words}>To see messages as they come takes a key with the scope read.</p>
      </Card>
    );
  }
  return (
    <Card title="What arrives" className={`${css.watch} ${arrived ? css.arrived : ""}`}>
      <ol className={css.steps} aria-live="polite">
        <Step
          state={connected || arrived ? "done" : refusal ? "bad" : "waiting"}
          title={connected || arrived ? "Connected" : refusal ? "Not connected" : waiting}
        >
          {connected && address
            ? `From ${address}.`
            : !connected && !arrived && !refusal && "Run the example: this changes by itself."}
          {silent && <Hints credential={credential} />}
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
                  It is stored, but could not be decoded: <span className="mono">{message.failure}</span>.{" "}
                  <PageLink to="/dead-letters">What to do about it</PageLink>
                </span>
              )}
              <Further credential={credential} />
            </>
          )}
        </Step>
      </ol>
      {stream.is === "waiting" && <p className={css.words}>{stream.problem.title}. Trying again.</p>}
    </Card>
  );
}

/** Where its data is from now on. */
function Further({ credential }: { credential: CredentialView }) {
  const { device_id: id } = credential;
  return (
    <span className={css.further}>
      {id && (
        <PageLink to="/devices/$id" params={{ id }}>
          See {id} and its values
        </PageLink>
      )}
      <PageLink to="/live" search={id ? { device: id } : {}}>
        Live messages
      </PageLink>
    </span>
  );
}

const LATE_MS = 20_000;

/** Whether it has been so for a while. */
function useLate(so: boolean): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    setLate(false);
    if (!so) return;
    const timer = window.setTimeout(() => setLate(true), LATE_MS);
    return () => window.clearTimeout(timer);
  }, [so]);
  return late;
}

/** What keeps a device away without a refusal that could be told here. */
function Hints({ credential }: { credential: CredentialView }) {
  return (
    <ul className={css.hints} aria-label="Nothing yet?">
      <li>
        A wrong user name is nobody's, so its refusal is told to nobody: it is{" "}
        <span className="mono">{credential.username}</span>.
      </li>
      <li>
        The device must reach the host and the port: a firewall may stand between, or its network has no name
        for it.
      </li>
      <li>The port for TLS takes nothing else.</li>
    </ul>
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
    case "connect.certificate":
      return "Its certificate is not the one that is bound to this credential: come with that one, or with the password.";
    case "connect.protocol":
      return "Devices connect by MQTT.";
    case "connect.not_ready":
      return "The broker is starting: try again in some seconds.";
    case "topic.forbidden":
      return `It published to “${refusal.topic}”, which it may not. Publish to ${topicOf(credential) ?? "none"}, or change the permissions.`;
    case "filter.forbidden":
      return `It subscribed to “${refusal.topic}”, which it may not. Change the filter or the permissions.`;
    default:
      return "";
  }
}
