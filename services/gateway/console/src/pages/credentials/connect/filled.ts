import { type Address, addressOf } from "@/api/connection";
import type { CredentialView, Endpoints } from "@/api/schema";

/** All that the examples are made of. */
export interface Filled {
  tcp: Address;
  tls: Address | null;
  webSocket: string;
  gateway: string;
  username: string;
  password: string;
  clientId: string;
  topic: string;
  /** The platform's own certificate authority, as PEM, where devices must be given it. */
  ca: string | null;
}

export interface Snippet {
  id: string;
  label: string;
  about?: string;
  /** What is done before and after, in order: what each step is, and what to type. */
  steps: [what: string, text: string][];
  code: (filled: Filled, secure: boolean) => string;
  /** It chooses between MQTT and MQTT over TLS. */
  chooses: boolean;
  /** Its code has the certificate authority within. */
  holdsCa?: boolean;
  /** It runs on another machine than the one whose browser shows this. */
  elsewhere?: boolean;
}

export const PLACEHOLDER = "<password>";
export const CA_FILE = "hybridmq-ca.pem";

/** Examples of a single message send this; those that go on send one value after the other. */
export const MESSAGE = '{"temperature": 21.5}';

/** Where a device connects to. */
export const place = (one: Filled, secure: boolean): Address => (secure && one.tls ? one.tls : one.tcp);

/** A text in double quotes, as Python, JavaScript and C read it alike. */
export const quoted = (text: string): string => JSON.stringify(text);

export function filled(
  credential: CredentialView,
  password: string | undefined,
  endpoints: Endpoints,
  ca: string | null,
): Filled {
  return {
    tcp: addressOf(endpoints.mqtt),
    tls: endpoints.mqtts ? addressOf(endpoints.mqtts) : null,
    // A browser asks nobody about an authority that it does not know: it refuses
    webSocket: endpoints.wss && ca === null ? endpoints.wss : endpoints.ws,
    gateway: window.location.origin,
    username: credential.username,
    password: password ?? PLACEHOLDER,
    clientId: credential.client_id,
    topic: topicOf(credential) ?? `${credential.topic_prefix}/…`,
    ca,
  };
}

/** A topic that it may publish to; none where it may publish to none. */
export function topicOf(credential: CredentialView): string | undefined {
  const { topic_prefix: prefix, device_id: device, publish } = credential;
  const own = (one: string) => one.endsWith(`devices/${device}/#`) || one.includes("{device_id}/#");
  if (device && publish.some(own)) return `${prefix}/devices/${device}/telemetry`;
  return publish[0]
    ?.replace("{device_id}", device ?? "device-1")
    .replace("{client_id}", credential.client_id)
    .split("/")
    .map((level) => (level === "+" ? "device-1" : level === "#" ? "telemetry" : level))
    .join("/");
}
