import { Button, Table } from "@mantine/core";
import type { DeadLetterCount } from "@/api/schema";
import { count } from "@/ui/format";
import css from "@/ui/List.module.css";
import { Time } from "@/ui/Time";
import { useIntegrationNames } from "../integrations/queries";

interface ReasonsProps {
  rows: DeadLetterCount[];
  chosen?: string;
  onChoose: (reason: string) => void;
}

/** How many there are of each reason, the most frequent first; one is chosen. */
export function Reasons({ rows, chosen, onChoose }: ReasonsProps) {
  const named = useIntegrationNames();
  return (
    <Table className={css.table} highlightOnHover>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Reason</Table.Th>
          <Table.Th className={css.wide}>Decoder</Table.Th>
          <Table.Th className={css.wide}>From</Table.Th>
          <Table.Th className={css.number}>Letters</Table.Th>
          <Table.Th className={css.wide}>Last</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {rows.slice(0, 8).map((row) => (
          <Table.Tr key={`${row.reason} ${row.decoder} ${row.integration_id}`}>
            <Table.Td>
              <Button
                className={css.opens}
                variant="subtle"
                size="compact-sm"
                disabled={chosen === row.reason}
                onClick={() => onChoose(row.reason)}
              >
                {row.reason}
              </Button>
            </Table.Td>
            <Table.Td className={css.wide}>{row.decoder}</Table.Td>
            <Table.Td className={css.wide}>{named(row.integration_id)}</Table.Td>
            <Table.Td className={css.number}>{count(row.count)}</Table.Td>
            <Table.Td className={css.wide}>
              <Time at={row.last_at} as="ago" />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
