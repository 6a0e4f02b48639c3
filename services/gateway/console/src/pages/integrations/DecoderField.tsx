import { JsonInput, Select } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ok } from "@/api/client";
import { asProblem } from "@/api/problem";
import type { DecoderChoice, DecoderPreview, DecoderView, MessageRow, PreviewSample } from "@/api/schema";
import { useSession } from "@/api/session";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import css from "./Integrations.module.css";
import { decodersQuery } from "./queries";

interface DecoderFieldProps {
  decoder: DecoderChoice;
  onChange: (decoder: DecoderChoice) => void;
  /** Of which integration messages are looked at; absent for one that does not exist yet. */
  integration?: string;
  prefix?: string;
  error?: string;
}

/** How its messages are read, shown on a real message: the last one that came, or the decoder's own example. */
export function DecoderField({ decoder, onChange, integration, prefix, error }: DecoderFieldProps) {
  const decoders = useQuery(decodersQuery);
  const reads = useSession().can("read");
  const recent = useQuery({
    queryKey: ["messages", integration, "last"],
    queryFn: () =>
      ok(api.GET("/v1/messages", { params: { query: { integration_id: integration, limit: 1 } } })),
    enabled: reads && integration !== undefined,
  });
  const [text, setText] = useState(() => JSON.stringify(decoder.settings ?? {}, null, 2));
  const chosen = decoders.data?.items.find((each) => each.name === decoder.name);
  return (
    <div className={css.decoder}>
      <div className={css.topics}>
        <Select
          label="Decoder"
          description={chosen?.description}
          inputWrapperOrder={["label", "input", "description", "error"]}
          data={decoders.data?.items.map((each) => each.name) ?? [decoder.name ?? "standard"]}
          value={decoder.name ?? "standard"}
          onChange={(name) => {
            if (name) onChange({ name, settings: {} });
            setText("{}");
          }}
        />
        <JsonInput
          label="Settings"
          value={text}
          onChange={(value) => {
            setText(value);
            try {
              onChange({ ...decoder, settings: JSON.parse(value || "{}") });
            } catch {
              // said by the field itself when one leaves it
            }
          }}
          validationError="This is no JSON"
          formatOnBlur
          autosize
          minRows={3}
          maxRows={16}
          error={error}
          classNames={{ input: css.code }}
        />
        <SettingsHelp schema={chosen?.settings_schema} />
      </div>
      <Preview
        decoder={decoder}
        chosen={chosen}
        message={recent.data?.items[0]}
        prefix={prefix}
        hosted={integration === "hosted"}
      />
    </div>
  );
}

interface Property {
  title?: string;
  description?: string;
  examples?: unknown[];
  default?: unknown;
}

function SettingsHelp({ schema }: { schema: Record<string, unknown> | undefined }) {
  const properties = Object.entries((schema?.properties ?? {}) as Record<string, Property>);
  if (!properties.length) return null;
  return (
    <details className={css.help}>
      <summary>What can be set</summary>
      <dl>
        {properties.map(([name, property]) => (
          <div key={name} className={css.helpRow}>
            <dt className="mono">{name}</dt>
            <dd>
              {property.description ?? property.title}
              {property.examples?.[0] !== undefined && (
                <>
                  {" "}
                  <code className="mono break">{JSON.stringify(property.examples[0])}</code>
                </>
              )}
            </dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

interface PreviewProps {
  decoder: DecoderChoice;
  chosen: DecoderView | undefined;
  message: MessageRow | undefined;
  prefix?: string;
  hosted: boolean;
}

function Preview({ decoder, chosen, message, prefix, hosted }: PreviewProps) {
  const manages = useSession().can("manage_integrations");
  const [asked] = useDebouncedValue(decoder, 400);
  const example = chosen?.example as { topic: string; payload?: string; payload_base64?: string } | undefined;
  const sample: { topic: string; payload?: string; payload_base64?: string } | undefined = message
    ? {
        topic: message.topic,
        ...(message.encoding === "utf-8"
          ? { payload: message.payload }
          : { payload_base64: message.payload }),
      }
    : example && {
        topic: example.topic,
        ...(example.payload_base64
          ? { payload_base64: example.payload_base64 }
          : { payload: example.payload }),
      };
  const query = useQuery({
    queryKey: ["preview", asked, sample, prefix],
    queryFn: () =>
      ok(
        api.POST("/v1/decoders/preview", {
          body: {
            decoder: asked,
            hosted: hosted && message !== undefined,
            ...(prefix && { prefix }),
            ...sample,
          } as never,
        }),
      ),
    enabled: manages && sample !== undefined,
    retry: false,
    placeholderData: (last) => last,
  });
  return (
    <div className={css.preview}>
      <div className={css.previewTitle}>
        {message ? "The last message that came" : "The decoder's own example"}
        {query.data && !query.error && <Outcome preview={query.data} />}
      </div>
      {sample && (
        <>
          <div className="mono break">{sample.topic}</div>
          <pre className={css.payload}>{cut(sample.payload ?? `${sample.payload_base64} (base64)`)}</pre>
        </>
      )}
      <div aria-live="polite">
        {query.error && <p className={css.error}>{asProblem(query.error).message}</p>}
        {!query.error && query.data && <Readings preview={query.data} />}
      </div>
    </div>
  );
}

function Outcome({ preview }: { preview: DecoderPreview }) {
  const tone = preview.outcome === "dead_letter" ? "bad" : preview.outcome === "nothing" ? "idle" : "good";
  const words = {
    readings: "Readings",
    presence: "Presence",
    nothing: "Nothing to read",
    dead_letter: "Dead letter",
  };
  return <Status tone={tone}>{words[preview.outcome]}</Status>;
}

function Readings({ preview }: { preview: DecoderPreview }) {
  if (preview.failure) {
    return (
      <p className={css.error}>
        {preview.failure.detail} <span className="mono">{preview.failure.code}</span>
      </p>
    );
  }
  return (
    <>
      {preview.samples?.map((sample, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a new answer replaces all
        <Sample key={index} sample={sample} />
      ))}
      {preview.presence?.map((one) => (
        <div key={one.device_id}>
          {one.device_id} is {one.online ? "online" : "offline"}
        </div>
      ))}
    </>
  );
}

const CHARS_MAX = 4000;
const cut = (text: string): string => (text.length > CHARS_MAX ? `${text.slice(0, CHARS_MAX)} …` : text);

/** What becomes of one message: a row for each reading. */
function Sample({ sample }: { sample: PreviewSample }) {
  return (
    <table className={css.sample}>
      <caption>
        {sample.device_id}, <Time at={sample.timestamp} />
      </caption>
      <tbody>
        {sample.readings.map((reading) => (
          <tr key={reading.metric}>
            <th scope="row">{reading.metric}</th>
            <td className="break">{String(reading.value)}</td>
            <td>{reading.unit ?? ""}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
