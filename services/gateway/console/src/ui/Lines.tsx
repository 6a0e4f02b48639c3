import { useVirtualizer } from "@tanstack/react-virtual";
import { type MouseEvent, memo, type ReactNode, useEffect, useRef } from "react";
import css from "./Lines.module.css";
import { Scroller } from "./Scroller";
import { usePhone } from "./usePhone";

interface LinesProps<Row, Mark> {
  label: string;
  rows: Row[];
  keyOf: (row: Row) => string | number;
  /** A line's cells. The same function as before, or all lines in sight are drawn anew. */
  draw: (row: Row, mark: Mark) => ReactNode;
  /** What else a line shows of its row, by value: when it changes, that line alone is drawn anew. */
  markOf?: (row: Row) => Mark;
  /**
   * Where its plain links with a `data-id` lead. The router's own cost more than the rest of a line, and hundreds come
   * by a second as one scrolls.
   */
  open?: (id: string) => void;
  /** The columns' names. */
  head: ReactNode;
  /** Of the grid: head and lines have the same columns. */
  columns?: string;
  height?: number;
  heightOfPhone?: number;
  /** What stands above and below it, in px: the list takes the rest of the window. */
  beside?: number;
  besideOfPhone?: number;
  /** Asks for the next page. */
  more?: () => void;
}

const AHEAD = 200; // lines before the end at which more are asked for

/** Lines of one height, as many as there are: only those in sight are in the document. */
export function Lines<Row, Mark = undefined>({
  label,
  rows,
  keyOf,
  draw,
  markOf,
  open,
  head,
  columns = "",
  height = 48,
  heightOfPhone = 60,
  beside = 250,
  besideOfPhone = beside,
  more,
}: LinesProps<Row, Mark>) {
  const scroller = useRef<HTMLDivElement>(null);
  const phone = usePhone();
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
  const room = `max(320px, calc(100dvh - ${phone ? besideOfPhone : beside}px))`;
  return (
    <>
      <div className={`${css.head} ${columns}`} aria-hidden>
        {head}
      </div>
      <Scroller
        ref={scroller}
        label={label}
        className={css.scroller}
        style={{ height: `min(${whole}px, ${room})` }}
      >
        {/* biome-ignore lint/a11y/useKeyWithClickEvents: a link's Enter is a click, too */}
        <ul
          className={css.lines}
          style={{ height: whole }}
          aria-label={label}
          onClick={open && ((event) => followed(event, open))}
        >
          {items.map((item) => {
            const row = rows[item.index] as Row;
            return (
              <Line
                key={keyOf(row)}
                row={row}
                mark={markOf?.(row)}
                draw={draw as (row: unknown, mark: unknown) => ReactNode}
                start={item.start}
                height={line}
                columns={columns}
              />
            );
          })}
        </ul>
      </Scroller>
    </>
  );
}

/** A plain click on a line's link stays within the console; with Ctrl and the like the browser has it. */
function followed(event: MouseEvent, open: (id: string) => void): void {
  const id = (event.target as Element).closest("a[data-id]")?.getAttribute("data-id");
  if (!id || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  open(id);
}

interface LineProps {
  row: unknown;
  mark: unknown;
  draw: (row: unknown, mark: unknown) => ReactNode;
  start: number;
  height: number;
  columns: string;
}

/** Drawn once, however far the list is scrolled while it is in sight. */
const Line = memo(function Line({ row, mark, draw, start, height, columns }: LineProps) {
  return (
    <li className={`${css.line} ${columns}`} style={{ height, transform: `translateY(${start}px)` }}>
      {draw(row, mark)}
    </li>
  );
});
