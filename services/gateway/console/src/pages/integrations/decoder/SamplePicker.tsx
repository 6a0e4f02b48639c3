import { Select, Textarea, TextInput } from "@mantine/core";
import css from "../Integrations.module.css";
import type { Samples } from "./useSamples";

const CHARS_MAX = 4000;
const cut = (text: string): string => (text.length > CHARS_MAX ? `${text.slice(0, CHARS_MAX)} …` : text);

/** Which message the decoder is tried on, and that message as it came. */
export function SamplePicker({ samples }: { samples: Samples }) {
  const { own, setOwn, chosen } = samples;
  return (
    <>
      <Select
        label="Tried on"
        data={samples.options}
        allowDeselect={false}
        value={samples.value}
        onChange={(next) => next && samples.choose(next)}
      />
      {samples.value === "own" ? (
        <>
          <TextInput
            label="Topic"
            placeholder="devices/boiler-7/telemetry"
            value={own.topic}
            onChange={(event) => setOwn({ ...own, topic: event.currentTarget.value })}
            classNames={{ input: css.code }}
          />
          <Textarea
            label="Payload"
            autosize
            minRows={3}
            maxRows={12}
            value={own.payload}
            onChange={(event) => setOwn({ ...own, payload: event.currentTarget.value })}
            classNames={{ input: css.code }}
          />
        </>
      ) : (
        chosen && (
          <>
            <div className="mono break">{chosen.topic}</div>
            <pre className={css.payload}>{cut(chosen.payload ?? `${chosen.payload_base64} (base64)`)}</pre>
          </>
        )
      )}
    </>
  );
}
