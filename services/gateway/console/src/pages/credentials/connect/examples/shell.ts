import { CA_FILE, MESSAGE, place, type Snippet } from "../filled";

/** In single quotes, in which a shell reads nothing. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

export const MOSQUITTO: Snippet = {
  id: "mosquitto",
  label: "mosquitto_pub",
  steps: [["Install", "apt install mosquitto-clients"]],
  chooses: true,
  code: (one, secure) => {
    const at = place(one, secure);
    const fetched = secure && one.ca ? `curl -so ${CA_FILE} ${one.gateway}/v1/ca.pem\n` : "";
    const trusted = one.ca ? `--cafile ${CA_FILE}` : "--tls-use-os-certs";
    return `${fetched}mosquitto_pub -h ${at.host} -p ${at.port}${secure ? ` ${trusted}` : ""} \\
  -i ${quoted(one.clientId)} -u ${quoted(one.username)} \\
  -P ${quoted(one.password)} \\
  -q 1 -t ${quoted(one.topic)} -m '${MESSAGE}'
`;
  },
};

export const CURL: Snippet = {
  id: "curl",
  label: "curl",
  about: "By HTTP instead of MQTT, with the same user name and password.",
  steps: [],
  chooses: false,
  code: (one) => `curl ${one.gateway}/v1/ingest \\
  -u ${quoted(`${one.username}:${one.password}`)} \\
  -H 'Content-Type: application/json' \\
  -d ${quoted(`{"topic": ${JSON.stringify(one.topic)}, "payload": ${MESSAGE}}`)}
`,
};
