import type { DecoderChoice, IntegrationView, Preset, TopicFilter } from "@/api/schema";

export type Auth = "none" | "password" | "client_certificate" | "aws_iot" | "azure_sas";
export type Protocol = "mqtt" | "mqtts" | "ws" | "wss";

/** Everything as it stands in the fields: texts, and empty where nothing was said. */
export interface BrokerForm {
  name: string;
  auth: Auth;
  protocol: Protocol;
  host: string;
  port: string;
  path: string;
  mqtt_version: "3.1.1" | "5";
  username: string;
  password: string;
  client_id: string;
  topic_prefix: string;
  device_id: string;
  shared_access_key: string;
  ca: string;
  client_certificate: string;
  client_key: string;
  server_name: string;
  verify: boolean;
  topics: TopicFilter[];
  decoder: DecoderChoice;
}

export const EMPTY: BrokerForm = {
  name: "",
  auth: "password",
  protocol: "mqtts",
  host: "",
  port: "",
  path: "",
  mqtt_version: "5",
  username: "",
  password: "",
  client_id: "",
  topic_prefix: "",
  device_id: "",
  shared_access_key: "",
  ca: "",
  client_certificate: "",
  client_key: "",
  server_name: "",
  verify: true,
  topics: [],
  decoder: { name: "standard", settings: {} },
};

export const AUTHS: { value: Auth; label: string }[] = [
  { value: "none", label: "None" },
  { value: "password", label: "User name and password" },
  { value: "client_certificate", label: "Client certificate" },
  { value: "aws_iot", label: "AWS IoT Core" },
  { value: "azure_sas", label: "Azure IoT Hub device" },
];

export const PROTOCOLS: { value: Protocol; label: string; port: number }[] = [
  { value: "mqtts", label: "MQTT over TLS (mqtts)", port: 8883 },
  { value: "mqtt", label: "MQTT (mqtt)", port: 1883 },
  { value: "wss", label: "WebSocket over TLS (wss)", port: 443 },
  { value: "ws", label: "WebSocket (ws)", port: 9001 },
];

/** Which protocols a way to prove oneself allows. */
export const ALLOWED: Record<Auth, Protocol[]> = {
  none: ["mqtt", "mqtts", "ws", "wss"],
  password: ["mqtt", "mqtts", "ws", "wss"],
  client_certificate: ["mqtts", "wss"],
  aws_iot: ["mqtts"],
  azure_sas: ["mqtts", "wss"],
};

export const isTls = (form: BrokerForm): boolean => form.protocol === "mqtts" || form.protocol === "wss";
export const isWebSocket = (form: BrokerForm): boolean => form.protocol === "ws" || form.protocol === "wss";
export const takesCertificate = (form: BrokerForm): boolean =>
  form.auth === "client_certificate" || form.auth === "aws_iot";

export function fromPreset(preset: Preset): BrokerForm {
  return { ...EMPTY, ...(texts(preset.settings) as Partial<BrokerForm>), topics: preset.topics };
}

/** Of a saved one: its secrets are not readable, so their fields are empty and stay as they are when saved so. */
export function fromView(view: IntegrationView): BrokerForm {
  const settings = (view.settings ?? {}) as Record<string, unknown>;
  const tls = (settings.tls ?? {}) as Record<string, unknown>;
  return {
    ...EMPTY,
    ...(texts(settings) as Partial<BrokerForm>),
    ca: text(tls.ca),
    client_certificate: text(tls.client_certificate),
    server_name: text(tls.server_name),
    verify: tls.verify !== false,
    name: view.name,
    topics: view.topics ?? [],
    decoder: view.decoder ?? EMPTY.decoder,
  };
}

const text = (value: unknown): string => (value === null || value === undefined ? "" : String(value));

function texts(settings: Record<string, unknown>): Record<string, string> {
  const known = Object.entries(settings).filter(
    ([name, value]) => name in EMPTY && typeof value !== "object",
  );
  return Object.fromEntries(known.map(([name, value]) => [name, text(value)]));
}

/** As the API takes it; what does not belong to the chosen way is left out. */
export function settingsOf(form: BrokerForm): Record<string, unknown> {
  const said = (name: keyof BrokerForm) => (form[name] ? { [name]: form[name] } : {});
  const tls = {
    ...said("ca"),
    ...said("server_name"),
    ...(form.verify ? {} : { verify: false }),
    ...(takesCertificate(form) ? { ...said("client_certificate"), ...said("client_key") } : {}),
  };
  return {
    auth: form.auth,
    protocol: form.protocol,
    host: form.host.trim(),
    ...(form.port && { port: Number(form.port) }),
    ...(isWebSocket(form) ? said("path") : {}),
    ...(form.auth === "azure_sas" ? {} : { mqtt_version: form.mqtt_version, ...said("client_id") }),
    ...said("topic_prefix"),
    ...(form.auth === "password" ? { ...said("username"), ...said("password") } : {}),
    ...(form.auth === "azure_sas" ? { ...said("device_id"), ...said("shared_access_key") } : {}),
    ...(isTls(form) ? { tls } : {}),
  };
}

export function addressOfBroker(view: IntegrationView): string {
  const settings = view.settings as {
    protocol: string;
    host: string;
    port?: number;
    path?: string | null;
  } | null;
  if (!settings) return "";
  return `${settings.protocol}://${settings.host}${settings.port ? `:${settings.port}` : ""}${settings.path ?? ""}`;
}
