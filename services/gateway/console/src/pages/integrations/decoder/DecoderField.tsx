import { Button, JsonInput, Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { asProblem, type Problem } from "@/api/problem";
import type { DecoderChoice } from "@/api/schema";
import css from "../Integrations.module.css";
import { decodersQuery } from "../queries";
import { Preview } from "./Preview";
import { SamplePicker } from "./SamplePicker";
import { SettingsForm, type Values } from "./SettingsForm";
import { settingsOfSchema } from "./schema";
import { usePreview } from "./usePreview";
import { useSamples } from "./useSamples";

interface DecoderFieldProps {
  decoder: DecoderChoice;
  onChange: (decoder: DecoderChoice) => void;
  /** Of which integration messages are looked at; absent for one that does not exist yet. */
  integration?: string;
  prefix?: string;
  /** A dead letter to try it on. */
  letter?: string;
  problem?: Problem | null;
}

/** How messages are read: a field for each setting, and beside them what becomes of a real message. */
export function DecoderField({ decoder, onChange, integration, prefix, letter, problem }: DecoderFieldProps) {
  const decoders = useQuery(decodersQuery);
  const name = decoder.name ?? "standard";
  const chosen = decoders.data?.items.find((each) => each.name === name);
  const samples = useSamples(integration, letter, chosen);
  const preview = usePreview(decoder, samples.chosen, samples.preceding, prefix);
  // What is said while one types counts before what was said when it was saved.
  const said = preview.error ? asProblem(preview.error) : (problem ?? null);
  const wrong = (setting: string) => said?.of(`decoder.settings.${setting}`);
  const [asJson, setAsJson] = useState(false);
  const settings = settingsOfSchema(chosen?.settings_schema);
  const values = (decoder.settings ?? {}) as Values;
  const set = (next: Values) => onChange({ name, settings: next });
  const concerned = preview.error || said?.errors.some((each) => each.field.startsWith("decoder"));
  const elsewhere =
    said && concerned && !settings.some((each) => wrong(each.name)) ? said.message : undefined;
  return (
    <div className={css.decoder}>
      <div className={css.topics}>
        <Select
          label="Decoder"
          description={chosen?.description}
          inputWrapperOrder={["label", "input", "description", "error"]}
          data={decoders.data?.items.map((each) => each.name) ?? [name]}
          allowDeselect={false}
          value={name}
          onChange={(next) => next && onChange({ name: next, settings: {} })}
          error={said?.of("decoder.name")}
        />
        {asJson ? (
          <SettingsAsJson key={name} values={values} onChange={set} />
        ) : (
          <div key={name} className={css.settings}>
            <SettingsForm settings={settings} values={values} onChange={set} wrong={wrong} />
          </div>
        )}
        {elsewhere && <p className={css.error}>{elsewhere}</p>}
        {settings.length > 0 && (
          <Button variant="subtle" size="compact-sm" className={css.start} onClick={() => setAsJson(!asJson)}>
            {asJson ? "Settings as fields" : "Settings as JSON"}
          </Button>
        )}
        {chosen && settings.length === 0 && <p className={css.address}>There is nothing to set.</p>}
      </div>
      <div className={css.preview}>
        <SamplePicker samples={samples} />
        <Preview query={preview} />
      </div>
    </div>
  );
}

function SettingsAsJson({ values, onChange }: { values: Values; onChange: (values: Values) => void }) {
  const [text, setText] = useState(() => JSON.stringify(values, null, 2));
  const put = (next: string) => {
    setText(next);
    const read = parsed(next || "{}");
    if (read) onChange(read);
  };
  return (
    <JsonInput
      label="Settings as JSON"
      value={text}
      onChange={put}
      error={parsed(text || "{}") ? undefined : "This is no JSON object: what is in force is what was before"}
      formatOnBlur
      autosize
      minRows={3}
      maxRows={16}
      classNames={{ input: css.code }}
    />
  );
}

function parsed(text: string): Values | null {
  try {
    const read: unknown = JSON.parse(text);
    return typeof read === "object" && read !== null && !Array.isArray(read) ? (read as Values) : null;
  } catch {
    return null;
  }
}
