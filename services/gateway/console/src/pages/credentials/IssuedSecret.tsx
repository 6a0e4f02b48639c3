import { useMemo } from "react";
import { encode } from "uqr";
import { addressOf } from "@/api/connection";
import type { CredentialIssued } from "@/api/schema";
import { Card } from "@/ui/Page";
import { SecretOnce } from "@/ui/SecretOnce";
import css from "./IssuedSecret.module.css";

/** The password of a credential that was just issued or rotated. */
export function IssuedSecret({ issued, onSaved }: { issued: CredentialIssued; onSaved: () => void }) {
  const tcp = addressOf(issued.endpoints.mqtt);
  const values = {
    MQTT_HOST: tcp.host,
    MQTT_PORT: tcp.port,
    MQTT_URL: issued.endpoints.mqtt,
    ...(issued.endpoints.mqtts && { MQTT_TLS_URL: issued.endpoints.mqtts }),
    MQTT_WS_URL: issued.endpoints.wss ?? issued.endpoints.ws,
    MQTT_CLIENT_ID: issued.client_id,
    MQTT_USERNAME: issued.username,
    MQTT_PASSWORD: issued.password,
    MQTT_TOPIC_PREFIX: issued.topic_prefix,
  };
  return (
    <Card title="Save the password now" className={css.card}>
      <SecretOnce
        label="Password"
        secret={issued.password}
        filename={issued.device_id ?? issued.id}
        values={values}
        qr={<Qr text={JSON.stringify(values)} />}
        onSaved={onSaved}
        onLeave={onSaved}
        savedLabel="Hide it for good"
      >
        It is shown this once: the platform keeps only a hash of it. User name, addresses and topics are in
        the files and in the QR code, too.
      </SecretOnce>
    </Card>
  );
}

function Qr({ text }: { text: string }) {
  const code = useMemo(() => encode(text, { ecc: "L", border: 2 }), [text]);
  const squares = code.data.flatMap((row, y) =>
    row.flatMap((dark, x) => (dark ? [`M${x},${y}h1v1h-1z`] : [])),
  );
  return (
    <figure className={css.qr}>
      <svg
        className={css.code}
        viewBox={`0 0 ${code.size} ${code.size}`}
        shapeRendering="crispEdges"
        role="img"
      >
        <title>The password and all that belongs to it as a QR code</title>
        <path d={squares.join("")} fill="#000" />
      </svg>
      <figcaption>For a phone or a device with a camera</figcaption>
    </figure>
  );
}
