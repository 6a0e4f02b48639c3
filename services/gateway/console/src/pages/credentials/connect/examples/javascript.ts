import { CA_FILE, place, quoted, type Snippet } from "../filled";

export const NODE: Snippet = {
  id: "node",
  label: "Node.js",
  steps: [
    ["Install", "npm install mqtt"],
    ["Save as", "device.mjs"],
    ["Run", "node device.mjs"],
  ],
  chooses: true,
  code: (one, secure) => {
    const at = place(one, secure);
    const ca = secure && one.ca ? `\n  ca: readFileSync(${quoted(CA_FILE)}),` : "";
    return `${ca ? 'import { readFileSync } from "node:fs";\n' : ""}import mqtt from "mqtt";

const client = await mqtt.connectAsync("${at.scheme}://${at.host}:${at.port}", {
  clientId: ${quoted(one.clientId)},
  username: ${quoted(one.username)},
  password: ${quoted(one.password)},${ca}
});
for (let n = 0; n < 5; n++) {
  const payload = JSON.stringify({ temperature: 20 + n / 2 });
  await client.publishAsync(${quoted(one.topic)}, payload, { qos: 1 });
  await new Promise((resolve) => setTimeout(resolve, 1000));
}
await client.endAsync();
`;
  },
};

export const BROWSER: Snippet = {
  id: "browser",
  label: "Browser",
  steps: [
    ["Install", "npm install mqtt"],
    ["Save as", "index.html"],
    ["Run", "python3 -m http.server 8090"],
    ["Open", "http://localhost:8090"],
  ],
  chooses: false,
  code: (one) => `<!doctype html>
<meta charset="utf-8">
<title>Device</title>
<p id="state">Connecting</p>
<script type="module">
  // Whoever opens the page can read the password: give it a credential of its own, with few topics.
  import mqtt from "./node_modules/mqtt/dist/mqtt.esm.js";

  const state = document.getElementById("state");
  const client = mqtt.connect(${quoted(one.webSocket)}, {
    clientId: ${quoted(one.clientId)},
    username: ${quoted(one.username)},
    password: ${quoted(one.password)},
  });
  client.on("error", (error) => (state.textContent = error.message));
  client.once("connect", () => {
    let n = 0;
    setInterval(() => {
      const payload = JSON.stringify({ temperature: 20 + (n++ % 10) / 2 });
      client.publish(${quoted(one.topic)}, payload, { qos: 1 });
      state.textContent = \`Sent \${payload}\`;
    }, 1000);
  });
</script>
`,
};
