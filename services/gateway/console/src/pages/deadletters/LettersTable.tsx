import { Checkbox, Table, UnstyledButton } from "@mantine/core";
import type { DeadLetterRow } from "@/api/schema";
import css from "@/ui/List.module.css";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { useIntegrationNames } from "../integrations/queries";

export const TONES = { open: "warn", resolved: "good", discarded: "idle" } as const;

interface LettersProps {
  rows: DeadLetterRow[];
  chosen: Set<string>;
  onChoose?: (chosen: Set<string>) => void;
  onOpen: (id: string) => void;
}

/** What the API takes of ids at a time. */
const AT_ONCE = 500;

export function LettersTable({ rows, chosen, onChoose, onOpen }: LettersProps) {
  const named = useIntegrationNames();
  const toggle = (id: string, wanted: boolean) => {
    const next = new Set(chosen);
    if (wanted) next.add(id);
    else next.delete(id);
    onChoose?.(next);
  };
  return (
    <Table highlightOnHover className={css.table}>
      <Table.Thead>
        <Table.Tr>
          {onChoose && (
            <Table.Th>
              <Checkbox
                aria-label="Choose all that are shown"
                checked={rows.every((row) => chosen.has(row.id))}
                indeterminate={chosen.size > 0 && !rows.every((row) => chosen.has(row.id))}
                onChange={(event) =>
                  onChoose(
                    new Set(event.currentTarget.checked ? rows.slice(0, AT_ONCE).map((row) => row.id) : []),
                  )
                }
              />
            </Table.Th>
          )}
          <Table.Th>Topic</Table.Th>
          <Table.Th className={css.wide}>State</Table.Th>
          <Table.Th>Reason</Table.Th>
          <Table.Th className={css.wide}>Payload</Table.Th>
          <Table.Th className={css.wide}>Came</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {rows.map((row) => (
          <Table.Tr key={row.id}>
            {onChoose && (
              <Table.Td>
                <Checkbox
                  aria-label={`Choose the letter of ${row.topic}, ${row.sequence}`}
                  checked={chosen.has(row.id)}
                  onChange={(event) => toggle(row.id, event.currentTarget.checked)}
                />
              </Table.Td>
            )}
            <Table.Td className={css.main}>
              <UnstyledButton onClick={() => onOpen(row.id)} className="mono break" title={row.topic}>
                <u>{row.topic.replace(/^org_[a-z0-9]+\//, "")}</u>
              </UnstyledButton>
              <div className={css.under}>{named(row.integration_id)}</div>
            </Table.Td>
            <Table.Td className={css.wide}>
              <Status tone={TONES[row.state]}>{row.state}</Status>
            </Table.Td>
            <Table.Td>
              {row.reason}
              <div className={css.under}>{row.detail}</div>
            </Table.Td>
            <Table.Td className={css.wide}>
              <span className="mono break">{row.preview}</span>
            </Table.Td>
            <Table.Td className={`${css.tight} ${css.wide}`}>
              <Time at={row.received_at} as="ago" />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
