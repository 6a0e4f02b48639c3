import { ActionIcon, Button, Input, TextInput } from "@mantine/core";
import { ArrowRight, Plus, X } from "lucide-react";
import { useState } from "react";
import css from "../Integrations.module.css";

interface PairsProps {
  label: string;
  description?: string;
  /** Whether the values are numbers. */
  numbers: boolean;
  example?: Record<string, unknown>;
  value: Record<string, unknown>;
  onChange: (value: Record<string, unknown>) => void;
  error?: string;
}

type Row = [name: string, value: string];

/** Names with a value each, a row for each of them; a row is part of the value once it has both. */
export function Pairs({ label, description, numbers, example, value, onChange, error }: PairsProps) {
  const [rows, setRows] = useState<Row[]>(() =>
    Object.entries(value).map(([name, held]) => [name, String(held)]),
  );
  const change = (next: Row[]) => {
    setRows(next);
    onChange(
      Object.fromEntries(
        next
          .filter(([name, held]) => name && held.trim())
          .map(([name, held]) => [name, typed(held, numbers)]),
      ),
    );
  };
  const put = (at: number, row: Row) => change(rows.map((each, index) => (index === at ? row : each)));
  const [sample] = Object.entries(example ?? {});
  const names = rows.map(([name]) => name).filter(Boolean);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset's legend cannot stand in Mantine's order
    <div role="group" aria-label={label} className={css.pairs}>
      <Input.Label component="div">{label}</Input.Label>
      {rows.map(([name, held], index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place
        <div key={index} className={css.pair}>
          <TextInput
            aria-label={`${label}, name ${index + 1}`}
            placeholder={sample?.[0]}
            value={name}
            onChange={(event) => put(index, [event.currentTarget.value, held])}
            classNames={{ input: css.code }}
          />
          <ArrowRight size={14} aria-hidden />
          <TextInput
            aria-label={`${label}, value ${index + 1}`}
            placeholder={sample && String(sample[1])}
            inputMode={numbers ? "decimal" : undefined}
            value={held}
            onChange={(event) => put(index, [name, event.currentTarget.value])}
            classNames={{ input: css.code }}
          />
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={`Remove ${name || `row ${index + 1}`} of ${label}`}
            onClick={() => change(rows.filter((_, at) => at !== index))}
          >
            <X size={16} />
          </ActionIcon>
        </div>
      ))}
      <Button
        variant="subtle"
        size="compact-sm"
        leftSection={<Plus size={14} />}
        aria-label={`Add to ${label}`}
        onClick={() => setRows([...rows, ["", ""]])}
        className={css.start}
      >
        Add
      </Button>
      {description && <Input.Description>{description}</Input.Description>}
      {twice && <Input.Error>{`“${twice}” stands twice: the last one counts.`}</Input.Error>}
      {error && <Input.Error>{error}</Input.Error>}
    </div>
  );
}

/** What is no number goes as it is: the API says so of its row. */
function typed(held: string, numbers: boolean): unknown {
  return numbers && Number.isFinite(Number(held)) ? Number(held) : held;
}
