import { CA_FILE, place, quoted, type Snippet } from "../filled";

export const PAHO: Snippet = {
  id: "paho",
  label: "Python, paho",
  steps: [
    ["Install", "pip install paho-mqtt"],
    ["Save as", "device.py"],
    ["Run", "python3 device.py"],
  ],
  chooses: true,
  code: (one, secure) => {
    const at = place(one, secure);
    const tls = secure ? `client.tls_set(${one.ca ? quoted(CA_FILE) : ""})\n` : "";
    return `import json
import time

import paho.mqtt.client as mqtt

client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=${quoted(one.clientId)})
client.username_pw_set(${quoted(one.username)}, ${quoted(one.password)})
client.on_connect = lambda client, data, flags, reason, properties: print("Broker:", reason)
${tls}client.connect(${quoted(at.host)}, ${at.port})
client.loop_start()
for n in range(5):
    message = client.publish(
        ${quoted(one.topic)}, json.dumps({"temperature": 20 + n / 2}), qos=1
    )
    message.wait_for_publish(10)
    if not message.is_published():
        raise SystemExit("Not sent")
    time.sleep(1)
client.disconnect()
`;
  },
};

export const AIOMQTT: Snippet = {
  id: "aiomqtt",
  label: "Python, aiomqtt",
  steps: [
    ["Install", "pip install aiomqtt"],
    ["Save as", "device.py"],
    ["Run", "python3 device.py"],
  ],
  chooses: true,
  code: (one, secure) => {
    const at = place(one, secure);
    const trusted = one.ca ? `ca_certs=${quoted(CA_FILE)}` : "";
    const tls = secure ? `\n        tls_params=aiomqtt.TLSParameters(${trusted}),` : "";
    return `import asyncio
import json

import aiomqtt


async def main() -> None:
    async with aiomqtt.Client(
        ${quoted(at.host)},
        port=${at.port},
        identifier=${quoted(one.clientId)},
        username=${quoted(one.username)},
        password=${quoted(one.password)},${tls}
    ) as client:
        for n in range(5):
            payload = json.dumps({"temperature": 20 + n / 2})
            await client.publish(${quoted(one.topic)}, payload, qos=1)
            await asyncio.sleep(1)


asyncio.run(main())
`;
  },
};
