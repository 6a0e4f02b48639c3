/** What of JSON Schema the decoders' settings are made of (`GET /v1/decoders`, `settings_schema`). */
export interface Setting {
  name: string;
  title: string;
  description?: string;
  examples: unknown[];
  default: unknown;
  kind: "switch" | "choice" | "text" | "number" | "pairs" | "group" | "json";
  /** Of `choice`. */
  choices: string[];
  /** Of `pairs`: whether their values are numbers. */
  numbers: boolean;
  /** Of `group`. */
  inner: Setting[];
  charsMax: number;
  /** Settings whose place it takes. */
  replaces: string[];
}

interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  anyOf?: Schema[];
  type?: string;
  enum?: string[];
  title?: string;
  description?: string;
  examples?: unknown[];
  default?: unknown;
  maxLength?: number;
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  "x-replaces"?: string[];
}

export function settingsOfSchema(schema: unknown): Setting[] {
  const whole = (schema ?? {}) as Schema;
  return properties(whole, whole.$defs ?? {});
}

function properties(schema: Schema, defs: Record<string, Schema>): Setting[] {
  return Object.entries(schema.properties ?? {}).map(([name, property]) => setting(name, property, defs));
}

function setting(name: string, said: Schema, defs: Record<string, Schema>): Setting {
  const shape = resolved(said, defs);
  const values = typeof shape.additionalProperties === "object" ? shape.additionalProperties : undefined;
  return {
    name,
    title: said.title ?? shape.title ?? name,
    description: said.description ?? shape.description,
    examples: said.examples ?? shape.examples ?? [],
    default: said.default,
    kind: kind(shape, values),
    choices: shape.enum ?? [],
    numbers: values?.type === "number" || values?.type === "integer",
    inner: properties(shape, defs),
    charsMax: shape.maxLength ?? 0,
    replaces: said["x-replaces"] ?? [],
  };
}

/** Without `null` and without references. */
function resolved(said: Schema, defs: Record<string, Schema>): Schema {
  const one = said.anyOf?.find((each) => each.type !== "null") ?? said;
  return one.$ref ? (defs[one.$ref.split("/").at(-1) ?? ""] ?? {}) : one;
}

function kind(shape: Schema, values: Schema | undefined): Setting["kind"] {
  if (shape.enum) return "choice";
  if (shape.type === "boolean") return "switch";
  if (shape.type === "string") return "text";
  if (shape.type === "number" || shape.type === "integer") return "number";
  if (shape.type === "object" && shape.properties) return "group";
  if (values && ["string", "number", "integer"].includes(values.type ?? "")) return "pairs";
  return "json";
}
