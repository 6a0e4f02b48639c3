import { Table } from "@mantine/core";
import type { ReadingDiff, RedecodePreview } from "@/api/schema";
import { count } from "@/ui/format";
import { Status, type Tone } from "@/ui/Status";
import { Time } from "@/ui/Time";
import css from "./Redecode.module.css";

/** What a dry run found: how many readings, and some of them before and after. */
export function Diff({ preview }: { preview: RedecodePreview }) {
  const kinds: [string, Tone, number, ReadingDiff[]][] = [
    ["Added", "good", preview.added, preview.samples_added ?? []],
    ["Removed", "bad", preview.removed, preview.samples_removed ?? []],
    ["Changed", "warn", preview.changed, preview.samples_changed ?? []],
  ];
  const shown = kinds.flatMap(([kind, tone, , samples]) =>
    samples.slice(0, 5).map((sample) => ({ kind, tone, sample })),
  );
  return (
    <section className={css.diff} aria-label="What would change" aria-live="polite">
      <div className={css.counts}>
        {kinds.map(([kind, tone, n]) => (
          <Status key={kind} tone={n ? tone : "idle"}>{`${kind}: ${count(n)}`}</Status>
        ))}
        <Status tone="idle">{`As they are: ${count(preview.unchanged)}`}</Status>
        {preview.resolved > 0 && (
          <Status tone="good">{`Dead letters mended: ${count(preview.resolved)}`}</Status>
        )}
        {preview.failed > 0 && <Status tone="bad">{`Dead letters: ${count(preview.failed)}`}</Status>}
      </div>
      <p className={css.dim}>
        Of {count(preview.messages)} messages
        {!preview.complete && preview.looked_until && (
          <>
            , which go until <Time at={preview.looked_until} />: more follow, and are not counted
          </>
        )}
        .{Object.entries(preview.failures ?? {}).map(([code, n]) => ` ${code}: ${n}.`)}
      </p>
      {shown.length > 0 && (
        <div className={css.scroll}>
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Reading</Table.Th>
                <Table.Th>Before</Table.Th>
                <Table.Th>After</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {shown.map(({ kind, sample }) => (
                <Table.Tr key={`${kind} ${sample.sequence} ${sample.device_id} ${sample.metric}`}>
                  <Table.Td className="break">
                    {sample.metric} <span className={css.dim}>of {sample.device_id}</span>
                  </Table.Td>
                  <Table.Td>{value(sample.before)}</Table.Td>
                  <Table.Td>{value(sample.after)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </div>
      )}
    </section>
  );
}

function value(one: ReadingDiff["before"]): string {
  return one ? `${String(one.value)}${one.unit ? ` ${one.unit}` : ""}` : "–";
}
