import { SegmentedControl } from "@mantine/core";
import { useMemo, useState } from "react";
import { CodeBlock, CopyValue } from "@/ui/Copy";
import { bytes } from "@/ui/format";
import { PageLink } from "@/ui/links";
import { Facts } from "@/ui/Page";
import { Time } from "@/ui/Time";
import { diagnostic } from "./cbor";
import css from "./Live.module.css";
import { Badges } from "./MessageList";
import { bytesOf, type LiveMessage } from "./message";

const FORMS = ["Text", "JSON", "Hex", "CBOR"] as const;
type Form = (typeof FORMS)[number];
const SHOWN_BYTES_MAX = 16 * 1024;

/** One message: where it came from, and the same bytes as text, JSON, hex or CBOR. */
export function MessageDetail({ message }: { message: LiveMessage }) {
  const payload = useMemo(() => bytesOf(message), [message]);
  const [chosen, setChosen] = useState<Form | null>(null);
  const form = chosen ?? fitting(message, payload);
  const { text, fault } = useMemo(() => shownAs(form, payload), [form, payload]);
  return (
    <div className={css.detail}>
      <Facts
        rows={[
          ["Topic", <CopyValue key="t" text={message.topic} label="topic" />],
          ["Came", <Time key="c" at={message.received_at} />],
          [
            "Device",
            message.device_id ? (
              <PageLink key="d" to="/devices/$id" params={{ id: message.device_id }} size="sm">
                {message.device_id}
              </PageLink>
            ) : (
              "none is named"
            ),
          ],
          ["By", message.integration_id],
          ["Delivery", <Badges key="b" message={message} />],
          ["Retained", retained(message)],
          ["Place in the log", String(message.sequence)],
          ...(message.failure ? ([["Not decoded", message.failure]] as [string, string][]) : []),
          ...(message.undecoded ? ([["Not decoded here", message.undecoded]] as [string, string][]) : []),
        ]}
      />
      <div className={css.forms}>
        <SegmentedControl
          aria-label="Show the payload as"
          size="xs"
          data={[...FORMS]}
          value={form}
          onChange={(value) => setChosen(value as Form)}
        />
        <span className={css.size}>{bytes(payload.length)}</span>
      </div>
      {fault ? (
        <p className={css.fault}>
          This is no {form}: {fault}.
        </p>
      ) : (
        <div className={css.bytes}>
          <CodeBlock code={text} label={`Payload as ${form}`} />
        </div>
      )}
      {payload.length > SHOWN_BYTES_MAX && form !== "CBOR" && (
        <p className={css.size}>The first {bytes(SHOWN_BYTES_MAX)} of it.</p>
      )}
    </div>
  );
}

function retained({ retain, integration_id }: LiveMessage): string {
  if (retain) return "yes: the broker keeps it for new subscribers";
  return integration_id === "hosted" ? "not known: the hosted broker does not say" : "no";
}

function fitting(message: LiveMessage, payload: Uint8Array): Form {
  if (message.encoding === "utf-8") return shownAs("JSON", payload).fault ? "Text" : "JSON";
  return shownAs("CBOR", payload).fault ? "Hex" : "CBOR";
}

function shownAs(form: Form, payload: Uint8Array): { text: string; fault?: string } {
  try {
    return { text: FORM[form](payload) };
  } catch (error) {
    return { text: "", fault: error instanceof Error ? error.message : String(error) };
  }
}

const FORM: Record<Form, (payload: Uint8Array) => string> = {
  Text: (payload) => new TextDecoder().decode(payload.subarray(0, SHOWN_BYTES_MAX)),
  JSON: (payload) =>
    JSON.stringify(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload)), null, 2).slice(
      0,
      SHOWN_BYTES_MAX,
    ),
  Hex: (payload) => dump(payload.subarray(0, SHOWN_BYTES_MAX)),
  CBOR: diagnostic,
};

/** Offset, sixteen bytes, and what of them is ASCII. */
function dump(payload: Uint8Array): string {
  const lines = [];
  for (let at = 0; at < payload.length; at += 16) {
    const part = [...payload.subarray(at, at + 16)];
    const hex = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const letters = part.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${hex.padEnd(47)}  ${letters}`);
  }
  return lines.join("\n");
}
