import { Table } from "@mantine/core";
import { Time } from "@/ui/Time";
import type { Drawn } from "./Chart";
import css from "./Device.module.css";

const LINES_MAX = 400;

/** The same numbers as the charts, newest first, without the steps in which nothing came. */
export function SeriesTable({ timestamps, drawn }: { timestamps: string[]; drawn: Drawn[] }) {
  const lines = timestamps
    .map((at, index) => ({ at, values: drawn.map((each) => each.avg[index] ?? null) }))
    .filter(({ values }) => values.some((value) => value !== null))
    .toReversed()
    .slice(0, LINES_MAX);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section className={css.table} tabIndex={0} aria-label="Averages over time">
      <Table stickyHeader>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Time</Table.Th>
            {drawn.map((each) => (
              <Table.Th key={each.metric}>
                {each.metric} {each.unit && <span className={css.unit}>{each.unit}</span>}
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {lines.map(({ at, values }) => (
            <Table.Tr key={at}>
              <Table.Td>
                <Time at={at} />
              </Table.Td>
              {values.map((value, column) => (
                <Table.Td key={drawn[column]?.metric}>
                  {value === null ? "–" : value.toLocaleString(undefined, { maximumSignificantDigits: 7 })}
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </section>
  );
}

/** RFC 4180; a name that a spreadsheet would take for a formula is kept from it. */
export function csv(timestamps: string[], drawn: Drawn[]): string {
  const cell = (text: string) => `"${(/^[=+\-@\t]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  const head = ["timestamp", ...drawn.map((each) => cell(each.metric))].join(",");
  const lines = timestamps.map((at, index) => [at, ...drawn.map((each) => each.avg[index] ?? "")].join(","));
  return `${[head, ...lines].join("\r\n")}\r\n`;
}
