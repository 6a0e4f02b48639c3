import { Fragment } from "react";

/** How the form calls what the API's words have between backticks. */
const LABELS: Record<string, string> = {
  host: "Host",
  port: "Port",
  path: "Path",
  protocol: "Protocol",
  auth: "Sign in with",
  mqtt: "MQTT (mqtt)",
  mqtts: "MQTT over TLS (mqtts)",
  ws: "WebSocket (ws)",
  wss: "WebSocket over TLS (wss)",
  mqtt_version: "MQTT version",
  username: "User name",
  password: "Password",
  client_id: "Client id",
  client_certificate: "Client certificate",
  device_id: "Device id",
  shared_access_key: "Shared access key",
  hub: "The hub's own name",
  tls: "Client certificate",
  ca: "Certificate authority",
  "tls.ca": "Certificate authority",
  "tls.client_certificate": "Client certificate",
  "tls.client_key": "Private key",
  "tls.server_name": "Server name",
  "tls.alpn": "ALPN",
  "tls.verify": "Check the broker's certificate",
};

/** Words of the API for people at the form: names of its fields are those that stand there. */
export function FieldWords({ text }: { text: string }) {
  const parts = text.split("`");
  return parts.map((part, index) => {
    // biome-ignore lint/suspicious/noArrayIndexKey: a text does not change
    if (index % 2 === 0) return <Fragment key={index}>{part}</Fragment>;
    const label = LABELS[part.replace(/^settings\./, "")];
    return label ? (
      // biome-ignore lint/suspicious/noArrayIndexKey: a text does not change
      <strong key={index}>{label}</strong>
    ) : (
      // biome-ignore lint/suspicious/noArrayIndexKey: a text does not change
      <code key={index} className="mono">
        {part}
      </code>
    );
  });
}
