import type { UseQueryResult } from "@tanstack/react-query";
import { asProblem } from "@/api/problem";
import type { DecoderPreview, PreviewSample } from "@/api/schema";
import { count } from "@/ui/format";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import css from "../Integrations.module.css";

/** What becomes of a message: its readings, presence, nothing, or why it would be a dead letter. */
export function Preview({ query }: { query: UseQueryResult<DecoderPreview> }) {
  const { data, error } = query;
  return (
    <section aria-live="polite" aria-label="What becomes of it" className={css.becomes}>
      {error && (
        <p className={css.error}>
          {asProblem(error).code === "decoder.settings"
            ? "The settings are not right yet."
            : asProblem(error).message}
        </p>
      )}
      {!error && data && (
        <>
          <Outcome preview={data} />
          <Found preview={data} />
        </>
      )}
    </section>
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

function Found({ preview }: { preview: DecoderPreview }) {
  if (preview.failure) {
    return (
      <p className={css.error}>
        {preview.failure.detail}{" "}
        {preview.failure.field && <code className="mono">{preview.failure.field}</code>}{" "}
        <span className="mono">{preview.failure.code}</span>
      </p>
    );
  }
  const shown = preview.samples?.reduce((sum, sample) => sum + sample.readings.length, 0) ?? 0;
  const all = preview.readings ?? shown;
  return (
    <>
      {preview.samples?.map((sample, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a new answer replaces all
        <Sample key={index} sample={sample} />
      ))}
      {all > shown && <p className={css.address}>{`${count(all)} readings in all, the first are shown.`}</p>}
      {preview.presence?.map((one) => (
        <div key={one.device_id}>
          {one.device_id} is {one.online ? "online" : "offline"}
        </div>
      ))}
      {preview.reply && (
        <p className={css.address}>
          The device is answered <code className="mono break">{preview.reply.payload}</code> at{" "}
          <code className="mono break">{preview.reply.topic}</code>
        </p>
      )}
    </>
  );
}

/** What one device measured at one time: a row for each reading. */
function Sample({ sample }: { sample: PreviewSample }) {
  return (
    <table className={css.sample}>
      <caption>
        {sample.device_id}, <Time at={sample.timestamp} />
        {sample.flags?.length ? ` (${sample.flags.join(", ")})` : ""}
      </caption>
      <tbody>
        {sample.readings.map((reading) => (
          <tr key={reading.metric}>
            <th scope="row" className="break">
              {reading.metric}
            </th>
            <td className="break">{String(reading.value)}</td>
            <td>{reading.unit ?? ""}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
