import { useMediaQuery } from "@mantine/hooks";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, type ReactNode, useEffect, useRef } from "react";
import css from "./Lines.module.css";

interface LinesProps<Row> {
  label: string;
  rows: Row[];
  keyOf: (row: Row) => string | number;
  /** A line's cells. The same function as before, or all lines in sight are drawn anew. */
  draw: (row: Row) => ReactNode;
  /** The columns' names. */
  head: ReactNode;
  /** Of the grid: head and lines have the same columns. */
  columns?: string;
  height?: number;
  heightOfPhone?: number;
  /** What stands above and below it, in px: the list takes the rest of the window. */
  beside?: number;
  /** Asks for the next page. */
  more?: () => void;
}

const AHEAD = 200; // lines before the end at which more are asked for

/** Lines of one height, as many as there are: only those in sight are in the document. */
export function Lines<Row>({
  label,
  rows,
  keyOf,
  draw,
  head,
  columns = "",
  height = 48,
  heightOfPhone = 60,
  beside = 250,
  more,
}: LinesProps<Row>) {
  const scroller = useRef<HTMLDivElement>(null);
  const phone = useMediaQuery("(max-width: 48em)", undefined, { getInitialValueInEffect: false });
  const line = phone ? heightOfPhone : height;
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => line,
    overscan: 12,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: what it measured is of the other height
  useEffect(() => virtual.measure(), [line]);
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (last > rows.length - AHEAD) more?.();
  }, [last, rows.length, more]);
  const whole = virtual.getTotalSize();
  return (
    <>
      <div className={`${css.head} ${columns}`} aria-hidden>
        {head}
      </div>
      <div
        ref={scroller}
        className={css.scroller}
        style={{ height: `min(${whole}px, max(320px, calc(100dvh - ${beside}px)))` }}
      >
        <ul className={css.lines} style={{ height: whole }} aria-label={label}>
          {items.map((item) => {
            const row = rows[item.index] as Row;
            return (
              <Line
                key={keyOf(row)}
                row={row}
                draw={draw as (row: unknown) => ReactNode}
                start={item.start}
                height={line}
                columns={columns}
              />
            );
          })}
        </ul>
      </div>
    </>
  );
}

interface LineProps {
  row: unknown;
  draw: (row: unknown) => ReactNode;
  start: number;
  height: number;
  columns: string;
}

/** Drawn once, however far the list is scrolled while it is in sight. */
const Line = memo(function Line({ row, draw, start, height, columns }: LineProps) {
  return (
    <li className={`${css.line} ${columns}`} style={{ height, transform: `translateY(${start}px)` }}>
      {draw(row)}
    </li>
  );
});
