import { ActionIcon, Button, Input, PasswordInput, TextInput } from "@mantine/core";
import { Plus, X } from "lucide-react";
import type { Problem } from "@/api/problem";
import css from "./Webhooks.module.css";

export interface Header {
  name: string;
  value: string;
}

interface HeadersProps {
  /** Names that are kept: their values are secrets, which nobody sees again. */
  held: string[];
  /** None: those that are kept stay. */
  rows: Header[] | undefined;
  onChange: (rows: Header[] | undefined) => void;
  problem: Problem | null;
}

const MOST = 10;

/** Headers that each call carries, beside those of the signature. */
export function HeadersField({ held, rows, onChange, problem }: HeadersProps) {
  const put = (at: number, change: Partial<Header>) =>
    onChange(rows?.map((row, index) => (index === at ? { ...row, ...change } : row)));
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset's legend cannot stand in Mantine's order
    <div role="group" aria-label="Headers of your own" className={css.headers}>
      <Input.Label component="div">Headers of your own</Input.Label>
      <Input.Description>
        Sent with each call. Values are kept as secrets, and are not shown again.
      </Input.Description>
      {rows === undefined && held.map((name) => <Kept key={name} name={name} />)}
      {rows?.map((row, index) => {
        const wrong = problemOf(rows, index, problem);
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place
          <div key={index} className={css.header}>
            <TextInput
              aria-label={`Name of header ${index + 1}`}
              placeholder="Authorization"
              autoComplete="off"
              maxLength={64}
              value={row.name}
              onChange={(event) => put(index, { name: event.currentTarget.value })}
              error={wrong.name}
            />
            <PasswordInput
              aria-label={`Value of header ${index + 1}`}
              placeholder="Bearer …"
              autoComplete="off"
              maxLength={1024}
              value={row.value}
              onChange={(event) => put(index, { value: event.currentTarget.value })}
              error={wrong.value}
            />
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-label={`Remove header ${index + 1}`}
              onClick={() => onChange(rows.filter((_, at) => at !== index))}
            >
              <X size={16} />
            </ActionIcon>
          </div>
        );
      })}
      {problem?.errors
        .filter((each) => each.field === "headers")
        .map((each) => (
          <Input.Error key={each.detail}>{each.detail}</Input.Error>
        ))}
      <div className={css.acts}>
        {rows === undefined ? (
          <Button variant="subtle" size="compact-sm" onClick={() => onChange([])}>
            {held.length > 1 ? "Replace them all" : "Replace it"}
          </Button>
        ) : (
          <Button
            variant="subtle"
            size="compact-sm"
            leftSection={<Plus size={14} />}
            disabled={rows.length >= MOST}
            onClick={() => onChange([...rows, { name: "", value: "" }])}
          >
            Add a header
          </Button>
        )}
        {rows !== undefined && held.length > 0 && (
          <Button variant="subtle" size="compact-sm" onClick={() => onChange(undefined)}>
            Keep {held.join(", ")}
          </Button>
        )}
      </div>
      {rows?.length === 0 && held.length > 0 && (
        <Input.Description>Saved like this, calls carry none any more.</Input.Description>
      )}
    </div>
  );
}

const Kept = ({ name }: { name: string }) => (
  <span className={css.kept}>
    <span className="mono break">{name}</span> <span aria-hidden>••••••••</span>
  </span>
);

/** What is wrong with a row, of its name and of its value. */
function problemOf(rows: Header[], at: number, problem: Problem | null): { name?: string; value?: string } {
  const row = rows[at];
  if (!row) return {};
  const name = row.name.trim().toLowerCase();
  if (name && rows.some((each, other) => other < at && each.name.trim().toLowerCase() === name))
    return { name: "It stands above already" };
  if (!name && row.value) return { name: "Give it a name" };
  const field = `headers.${row.name.trim()}`;
  const said = (of: string) => problem?.errors.find((each) => each.field === of)?.detail;
  return { name: said(`${field}.[key]`), value: said(field) };
}

/** As the API takes them; none where one stands twice, or has no name. */
export function headersOf(rows: Header[]): Record<string, string> | undefined {
  const given = rows.filter((row) => row.name.trim() || row.value);
  const names = given.map((row) => row.name.trim().toLowerCase());
  if (names.includes("") || new Set(names).size < names.length) return undefined;
  return Object.fromEntries(given.map((row) => [row.name.trim(), row.value.trim()]));
}
