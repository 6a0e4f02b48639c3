import { UnstyledButton } from "@mantine/core";
import type { DeadLetterRow } from "@/api/schema";
import { type Column, Rows } from "@/ui/List";
import css from "@/ui/List.module.css";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { useIntegrationNames } from "../integrations/queries";

export const TONES = { open: "warn", resolved: "good", discarded: "idle" } as const;

interface LettersProps {
  rows: DeadLetterRow[];
  chosen: ReadonlySet<string>;
  onChoose?: (chosen: ReadonlySet<string>) => void;
  onOpen: (id: string) => void;
}

/** What the API takes of ids at a time. */
const AT_ONCE = 500;

export function LettersTable({ rows, chosen, onChoose, onOpen }: LettersProps) {
  const named = useIntegrationNames();
  const columns: Column<DeadLetterRow>[] = [
    {
      head: "Topic",
      cell: (row) => (
        <div className={css.main}>
          <UnstyledButton onClick={() => onOpen(row.id)} className="mono break" title={row.topic}>
            <u>{row.topic.replace(/^org_[a-z0-9]+\//, "")}</u>
          </UnstyledButton>
          <div className={css.under}>{named(row.integration_id)}</div>
        </div>
      ),
    },
    { head: "State", wide: true, cell: (row) => <Status tone={TONES[row.state]}>{row.state}</Status> },
    {
      head: "Reason",
      cell: (row) => (
        <>
          {row.reason}
          <div className={css.under}>{row.detail}</div>
        </>
      ),
    },
    { head: "Payload", wide: true, cell: (row) => <span className="mono break">{row.preview}</span> },
    { head: "Came", wide: true, tight: true, cell: (row) => <Time at={row.received_at} as="ago" /> },
  ];
  const choosing = onChoose && {
    chosen,
    choose: onChoose,
    name: (row: DeadLetterRow) => `the letter of ${row.topic}, ${row.sequence}`,
    most: AT_ONCE,
  };
  return <Rows rows={rows} columns={columns} id={(row) => row.id} choosing={choosing} />;
}
