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
  /** Whether devices must be given the platform's own certificate authority. */
  ownCa: boolean;
}

export interface Snippet {
  id: string;
  label: string;
  /** What has to be there before. */
  needs: string;
  code: (filled: Filled, secure: boolean) => string;
}

export const PLACEHOLDER = "<password>";
const MESSAGE = '{"temperature": 21.5}';

export function filled(
  credential: CredentialView,
  password: string | undefined,
  connection: { endpoints: Endpoints; certificate_authority: string | null },
): Filled {
  const { endpoints } = connection;
  return {
    tcp: addressOf(endpoints.mqtt),
    tls: endpoints.mqtts ? addressOf(endpoints.mqtts) : null,
    webSocket: endpoints.ws,
    gateway: window.location.origin,
    username: credential.username,
    password: password ?? PLACEHOLDER,
    clientId: credential.client_id,
    topic: topicOf(credential),
    ownCa: connection.certificate_authority !== null,
  };
}

/** A topic that it may publish to. */
export function topicOf(credential: CredentialView): string {
  const { topic_prefix: prefix, device_id: device } = credential;
  if (
    device &&
    credential.publish.some((one) => one.endsWith(`devices/${device}/#`) || one.includes("{device_id}/#"))
  ) {
    return `${prefix}/devices/${device}/telemetry`;
  }
  const first = credential.publish[0] ?? `${prefix}/devices/+/telemetry`;
  return first
    .replace("{device_id}", device ?? "device-1")
    .replace("{client_id}", credential.client_id)
    .split("/")
    .map((level) => (level === "+" ? "device-1" : level === "#" ? "telemetry" : level))
    .join("/");
}

const place = (one: Filled, secure: boolean): Address => (secure && one.tls ? one.tls : one.tcp);
const fetchCa = (one: Filled, secure: boolean, sign: string): string =>
  secure && one.ownCa ? `${sign} Once: curl -so hybridmq-ca.pem ${one.gateway}/v1/ca.pem\n` : "";

export const SNIPPETS: Snippet[] = [
  {
    id: "mosquitto",
    label: "mosquitto_pub",
    needs: "apt install mosquitto-clients",
    code: (one, secure) => {
      const at = place(one, secure);
      const tls = secure
        ? one.ownCa
          ? " \\\n  --cafile hybridmq-ca.pem"
          : " \\\n  --capath /etc/ssl/certs"
        : "";
      return `${fetchCa(one, secure, "#")}mosquitto_pub -h ${at.host} -p ${at.port}${tls} \\
  -i '${one.clientId}' -u '${one.username}' \\
  -P '${one.password}' \\
  -q 1 -t '${one.topic}' -m '${MESSAGE}'
`;
    },
  },
  {
    id: "paho",
    label: "Python, paho",
    needs: "pip install paho-mqtt",
    code: (one, secure) => {
      const at = place(one, secure);
      const tls = secure ? `client.tls_set(${one.ownCa ? '"hybridmq-ca.pem"' : ""})\n` : "";
      return `${fetchCa(one, secure, "#")}import paho.mqtt.client as mqtt

client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="${one.clientId}")
client.username_pw_set("${one.username}", "${one.password}")
${tls}client.connect("${at.host}", ${at.port})
client.loop_start()
message = client.publish("${one.topic}", '${MESSAGE}', qos=1)
message.wait_for_publish(10)
client.disconnect()
`;
    },
  },
  {
    id: "aiomqtt",
    label: "Python, aiomqtt",
    needs: "pip install aiomqtt",
    code: (one, secure) => {
      const at = place(one, secure);
      const tls = secure
        ? `\n        tls_params=aiomqtt.TLSParameters(${one.ownCa ? 'ca_certs="hybridmq-ca.pem"' : ""}),`
        : "";
      return `${fetchCa(one, secure, "#")}import asyncio

import aiomqtt


async def main() -> None:
    async with aiomqtt.Client(
        "${at.host}",
        port=${at.port},
        identifier="${one.clientId}",
        username="${one.username}",
        password="${one.password}",${tls}
    ) as client:
        await client.publish("${one.topic}", '${MESSAGE}', qos=1)


asyncio.run(main())
`;
    },
  },
  {
    id: "node",
    label: "Node.js",
    needs: "npm install mqtt",
    code: (one, secure) => {
      const at = place(one, secure);
      const ca = secure && one.ownCa ? `\n  ca: readFileSync("hybridmq-ca.pem"),` : "";
      return `${fetchCa(one, secure, "//")}import mqtt from "mqtt";
${ca ? 'import { readFileSync } from "node:fs";\n' : ""}
const client = await mqtt.connectAsync("${at.scheme}://${at.host}:${at.port}", {
  clientId: "${one.clientId}",
  username: "${one.username}",
  password: "${one.password}",${ca}
});
await client.publishAsync("${one.topic}", '${MESSAGE}', { qos: 1 });
await client.endAsync();
`;
    },
  },
  {
    id: "browser",
    label: "Browser",
    needs: "npm install mqtt; a page of your own",
    code: (one) => `import mqtt from "mqtt";

// Whoever opens the page can read the password: give it a credential of its own, with few topics.
const client = mqtt.connect("${one.webSocket}", {
  clientId: "${one.clientId}",
  username: "${one.username}",
  password: "${one.password}",
});
client.on("connect", () => client.publish("${one.topic}", '${MESSAGE}', { qos: 1 }));
`,
  },
  {
    id: "arduino",
    label: "Arduino, ESP32",
    needs: "library PubSubClient",
    code: (one, secure) => {
      const at = place(one, secure);
      const net = secure ? "WiFiClientSecure" : "WiFiClient";
      const ca = secure
        ? one.ownCa
          ? "  net.setCACert(CA); // the text of hybridmq-ca.pem\n"
          : "  net.setCACertBundle(rootca_crt_bundle_start);\n"
        : "";
      const text = secure && one.ownCa ? 'const char *CA = R"(-----BEGIN CERTIFICATE-----\n…)";\n' : "";
      return `#include <WiFi.h>
${secure ? "#include <WiFiClientSecure.h>\n" : ""}#include <PubSubClient.h>

${text}${net} net;
PubSubClient client(net);

void setup() {
  WiFi.begin("<network>", "<password of the network>");
  while (WiFi.status() != WL_CONNECTED) delay(200);
${ca}  client.setServer("${at.host}", ${at.port});
  client.setBufferSize(1024);
}

void loop() {
  if (!client.connected() &&
      !client.connect("${one.clientId}", "${one.username}", "${one.password}")) {
    delay(5000);
    return;
  }
  client.loop();
  client.publish("${one.topic}", "{\\"temperature\\": 21.5}");
  delay(10000);
}
`;
    },
  },
  {
    id: "esp-idf",
    label: "ESP-IDF",
    needs: "component esp-mqtt, ESP-IDF 5",
    code: (one, secure) => {
      const at = place(one, secure);
      const ca = secure
        ? one.ownCa
          ? "\n    .broker.verification.certificate = CA, // the text of hybridmq-ca.pem"
          : "\n    .broker.verification.crt_bundle_attach = esp_crt_bundle_attach,"
        : "";
      return `#include "mqtt_client.h"

static const esp_mqtt_client_config_t CONFIG = {
    .broker.address.uri = "${at.scheme}://${at.host}:${at.port}",${ca}
    .credentials.client_id = "${one.clientId}",
    .credentials.username = "${one.username}",
    .credentials.authentication.password = "${one.password}",
};

static void on_connected(void *arg, esp_event_base_t base, int32_t id, void *data) {
    esp_mqtt_client_handle_t client = ((esp_mqtt_event_handle_t)data)->client;
    esp_mqtt_client_publish(client, "${one.topic}",
                            "{\\"temperature\\": 21.5}", 0, 1, 0);
}

void mqtt_start(void) {
    esp_mqtt_client_handle_t client = esp_mqtt_client_init(&CONFIG);
    esp_mqtt_client_register_event(client, MQTT_EVENT_CONNECTED, on_connected, NULL);
    esp_mqtt_client_start(client);
}
`;
    },
  },
  {
    id: "curl",
    label: "curl",
    needs: "no MQTT: by HTTP, with the same user name and password",
    code: (one) => `curl -u '${one.username}:${one.password}' ${one.gateway}/v1/ingest \\
  -H 'Content-Type: application/json' \\
  -d '{"topic": "${one.topic}", "payload": ${MESSAGE}}'
`,
  },
];
