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
  keepalive_s: string;
  device_id: string;
  shared_access_key: string;
  hub: string;
  token_lifetime_s: string;
  ca: string;
  /** Of auth `password`, which may come with a client certificate. */
  with_certificate: boolean;
  client_certificate: string;
  client_key: string;
  server_name: string;
  alpn: string;
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
  keepalive_s: "",
  device_id: "",
  shared_access_key: "",
  hub: "",
  token_lifetime_s: "",
  ca: "",
  with_certificate: false,
  client_certificate: "",
  client_key: "",
  server_name: "",
  alpn: "",
  verify: true,
  topics: [],
  decoder: { name: "standard", settings: {} },
};

export const AUTHS: { value: Auth; label: string }[] = [
  { value: "none", label: "Nothing" },
  { value: "password", label: "User name and password" },
  { value: "client_certificate", label: "Client certificate" },
  { value: "aws_iot", label: "AWS IoT Core: client certificate" },
  { value: "azure_sas", label: "Azure IoT Hub: key of a device" },
];

export const PROTOCOLS: { value: Protocol; label: string; port: number }[] = [
  { value: "mqtts", label: "MQTT over TLS (mqtts)", port: 8883 },
  { value: "mqtt", label: "MQTT (mqtt)", port: 1883 },
  { value: "wss", label: "WebSocket over TLS (wss)", port: 443 },
  { value: "ws", label: "WebSocket (ws)", port: 9001 },
];

/** Which protocols a way to sign in allows. */
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
  form.auth === "client_certificate" ||
  form.auth === "aws_iot" ||
  (form.auth === "password" && form.with_certificate);

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
    with_certificate: Boolean(tls.client_certificate),
    client_certificate: text(tls.client_certificate),
    server_name: text(tls.server_name),
    alpn: ((tls.alpn as string[] | undefined) ?? []).join(", "),
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
  const number = (name: keyof BrokerForm) => (form[name] ? { [name]: numeric(String(form[name])) } : {});
  const alpn = form.alpn.split(/[\s,]+/).filter(Boolean);
  const tls = {
    ...said("ca"),
    ...said("server_name"),
    ...(form.verify ? {} : { verify: false }),
    ...(alpn.length ? { alpn } : {}),
    ...(takesCertificate(form) ? { ...said("client_certificate"), ...said("client_key") } : {}),
  };
  return {
    auth: form.auth,
    protocol: form.protocol,
    host: form.host.trim(),
    ...number("port"),
    ...number("keepalive_s"),
    ...(isWebSocket(form) ? said("path") : {}),
    ...(form.auth === "azure_sas" ? {} : { mqtt_version: form.mqtt_version, ...said("client_id") }),
    ...said("topic_prefix"),
    ...(form.auth === "password" ? { ...said("username"), ...said("password") } : {}),
    ...(form.auth === "azure_sas"
      ? { ...said("device_id"), ...said("shared_access_key"), ...said("hub"), ...number("token_lifetime_s") }
      : {}),
    ...(isTls(form) ? { tls } : {}),
  };
}

/** What is no number goes as it is: the API says of which field. */
const numeric = (value: string): number | string => (Number.isInteger(Number(value)) ? Number(value) : value);

const OPTIONAL = [
  "port",
  "path",
  "mqtt_version",
  "username",
  "client_id",
  "topic_prefix",
  "keepalive_s",
  "device_id",
  "hub",
  "token_lifetime_s",
];
const OPTIONAL_OF_TLS = ["ca", "client_certificate", "server_name", "alpn", "verify"];
const nothing = (names: string[]) => Object.fromEntries(names.map((name) => [name, null]));

/** The same as a change of what is saved: a field that was emptied is null, for what is not sent stays. */
export function changeOf(form: BrokerForm): Record<string, unknown> {
  const wanted = settingsOf(form);
  const tls = wanted.tls ? { ...nothing(OPTIONAL_OF_TLS), ...(wanted.tls as object) } : null;
  return { ...nothing(OPTIONAL), ...wanted, tls };
}

const ADDRESS = /^(mqtts?|wss?|tcp|ssl|tls):\/\/(?:([^@/]*)@)?(\[[^\]]*\]|[^:/?]*)(?::(\d+))?(\/[^?]*)?/i;
const OTHER_NAMES: Record<string, Protocol> = { tcp: "mqtt", ssl: "mqtts", tls: "mqtts" };

/** What somebody put into the field of the host: an address or a connection string fills the fields it speaks of. */
export function fromPasted(value: string, form: BrokerForm): Partial<BrokerForm> {
  const parts = new Map(
    value.split(";").map((part) => [part.split("=", 1)[0]?.trim(), part.slice(part.indexOf("=") + 1)]),
  );
  const hub = parts.get("HostName");
  if (hub && form.auth === "azure_sas") {
    return {
      host: hub,
      device_id: parts.get("DeviceId") ?? form.device_id,
      shared_access_key: parts.get("SharedAccessKey") ?? form.shared_access_key,
    };
  }
  const found = ADDRESS.exec(value.trim());
  if (!found) return { host: value };
  const [, scheme = "", user, host = "", port, path] = found;
  const named = scheme.toLowerCase();
  const protocol = OTHER_NAMES[named] ?? (named as Protocol);
  if (!ALLOWED[form.auth].includes(protocol)) return { host, port: port ?? form.port };
  return {
    protocol,
    host: host.replace(/^\[|\]$/g, ""),
    port: port ?? "",
    path: protocol.startsWith("ws") ? (path ?? "") : "",
    ...(user && form.auth === "password" ? { username: decodeURIComponent(user.split(":")[0] ?? "") } : {}),
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
