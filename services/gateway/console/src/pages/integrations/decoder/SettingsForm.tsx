import { Autocomplete, Checkbox, Select, Textarea, TextInput } from "@mantine/core";
import css from "../Integrations.module.css";
import { Pairs } from "./Pairs";
import type { Setting } from "./schema";

export type Values = Record<string, unknown>;

interface SettingsFormProps {
  settings: Setting[];
  values: Values;
  onChange: (values: Values) => void;
  /** What was said of a setting, by its name (with dots for what is inside of one). */
  wrong: (name: string) => string | undefined;
}

/** A field for each setting of a decoder, made of its schema. What is as by default is left out of the values. */
export function SettingsForm({ settings, values, onChange, wrong }: SettingsFormProps) {
  const replaced = new Set(
    settings.filter((each) => values[each.name] != null).flatMap((each) => each.replaces),
  );
  const put = (setting: Setting, value: unknown) => {
    const next = { ...values };
    if (value === undefined || value === null || value === setting.default) delete next[setting.name];
    else next[setting.name] = value;
    if (value != null) for (const name of setting.replaces) delete next[name];
    onChange(next);
  };
  return settings
    .filter((each) => !replaced.has(each.name))
    .map((each) => (
      <Field
        key={each.name}
        setting={each}
        value={values[each.name] ?? each.default}
        onChange={(value) => put(each, value)}
        wrong={wrong}
      />
    ));
}

interface FieldProps {
  setting: Setting;
  value: unknown;
  onChange: (value: unknown) => void;
  wrong: (name: string) => string | undefined;
}

const LONG_CHARS = 1000;

function Field({ setting, value, onChange, wrong }: FieldProps) {
  const { title, description, kind } = setting;
  const error = kind === "group" ? undefined : wrong(setting.name);
  const common = {
    label: title,
    description,
    error,
    inputWrapperOrder: ["label", "input", "description", "error"] as (
      | "label"
      | "input"
      | "description"
      | "error"
    )[],
  };
  const text = typeof value === "string" || typeof value === "number" ? String(value) : "";
  switch (kind) {
    case "switch":
      return (
        <Checkbox
          label={title}
          description={description}
          error={error}
          checked={value === true}
          onChange={(event) => onChange(event.currentTarget.checked)}
        />
      );
    case "choice":
      return (
        <Select {...common} data={setting.choices} allowDeselect={false} value={text} onChange={onChange} />
      );
    case "text":
      if (setting.charsMax > LONG_CHARS) {
        return (
          <Textarea
            {...common}
            autosize
            minRows={3}
            maxRows={16}
            spellCheck={false}
            classNames={{ input: css.code }}
            value={text}
            onChange={(event) => onChange(event.currentTarget.value)}
          />
        );
      }
      return <Line setting={setting} common={common} text={text} onChange={onChange} />;
    case "number":
      return (
        <TextInput
          {...common}
          inputMode="decimal"
          value={text}
          onChange={({ currentTarget: { value: next } }) =>
            onChange(next === "" ? undefined : Number.isFinite(Number(next)) ? Number(next) : next)
          }
        />
      );
    case "pairs":
      return (
        <Pairs
          label={title}
          description={description}
          numbers={setting.numbers}
          example={setting.examples[0] as Record<string, unknown> | undefined}
          value={(value ?? {}) as Record<string, unknown>}
          onChange={(next) => onChange(Object.keys(next).length ? next : undefined)}
          error={error}
        />
      );
    case "group":
      return <Group setting={setting} value={value as Values | null} onChange={onChange} wrong={wrong} />;
    case "json":
      return null; // only as JSON: the form says so
  }
}

interface LineProps {
  setting: Setting;
  common: object;
  text: string;
  onChange: (value: unknown) => void;
}

/** A text in one line; with proposals where the schema has several examples. */
function Line({ setting, common, text, onChange }: LineProps) {
  const proposed = proposals(setting);
  const placeholder = setting.default ? undefined : example(setting);
  const put = (next: string) => onChange(next === "" && setting.default === null ? undefined : next);
  if (proposed.length === 0) {
    return (
      <TextInput
        {...common}
        placeholder={placeholder}
        value={text}
        onChange={(event) => put(event.currentTarget.value)}
      />
    );
  }
  return (
    <Autocomplete
      {...common}
      data={proposed}
      limit={100}
      placeholder={placeholder}
      value={text}
      onChange={put}
    />
  );
}

function Group({ setting, value, onChange, wrong }: FieldProps & { value: Values | null }) {
  return (
    <div className={css.group}>
      <Checkbox
        label={setting.title}
        description={setting.description}
        checked={value != null}
        onChange={(event) => onChange(event.currentTarget.checked ? setting.examples[0] : undefined)}
      />
      {value != null && (
        <SettingsForm
          settings={setting.inner}
          values={value}
          onChange={onChange}
          wrong={(name) =>
            wrong(`${setting.name}.${name}`) ?? (name === "source" ? wrong(setting.name) : undefined)
          }
        />
      )}
    </div>
  );
}

const example = (setting: Setting) =>
  typeof setting.examples[0] === "string" ? setting.examples[0] : undefined;

function proposals(setting: Setting): string[] {
  if (setting.name === "time_zone") return ["UTC", ...Intl.supportedValuesOf("timeZone")];
  return setting.examples.length > 1 ? (setting.examples as string[]) : [];
}
