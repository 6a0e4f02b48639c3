import { useMediaQuery } from "@mantine/hooks";
import { Link } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useRef } from "react";
import type { DeviceRow } from "@/api/schema";
import { short } from "@/ui/format";
import { Time } from "@/ui/Time";
import css from "./Devices.module.css";
import { Presence } from "./Presence";

interface LinesProps {
  rows: DeviceRow[];
  presence: ReadonlyMap<string, boolean>;
  onTag: (tag: string) => void;
  /** Asks for the next page. */
  more: () => void;
}

const LINE = 48;
const LINE_OF_PHONE = 60;
const AHEAD = 200; // lines before the end at which more are asked for
const TAGS_SHOWN = 3;

/** Only the lines in sight are in the document. */
export function DeviceLines({ rows, presence, onTag, more }: LinesProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const phone = useMediaQuery("(max-width: 48em)", undefined, { getInitialValueInEffect: false });
  const line = phone ? LINE_OF_PHONE : LINE;
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => line,
    overscan: 12,
  });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (last > rows.length - AHEAD) more();
  }, [last, rows.length, more]);
  return (
    <>
      <div className={css.head} aria-hidden>
        <span>Device</span>
        <span>Presence</span>
        <span className={css.wide}>Tags</span>
        <span className={css.wide}>Messages</span>
        <span>Heard of</span>
      </div>
      <div ref={scroller} className={css.scroller}>
        <ul className={css.lines} style={{ height: virtual.getTotalSize() }} aria-label="Devices">
          {items.map((item) => {
            const row = rows[item.index] as DeviceRow;
            return (
              <Line
                key={row.id}
                row={row}
                online={presence.get(row.id) ?? row.online}
                start={item.start}
                height={line}
                onTag={onTag}
              />
            );
          })}
        </ul>
      </div>
    </>
  );
}

interface LineProps {
  row: DeviceRow;
  online: boolean | null | undefined;
  start: number;
  height: number;
  onTag: (tag: string) => void;
}

/** Drawn once, however far the list is scrolled while it is in sight. */
const Line = memo(function Line({ row, online, start, height, onTag }: LineProps) {
  const tags = row.tags ?? [];
  return (
    <li className={css.line} style={{ height, transform: `translateY(${start}px)` }}>
      <span className={css.name}>
        <Link to="/devices/$id" params={{ id: row.id }} className={`${css.link} ellipsis`}>
          {row.name ?? row.id}
        </Link>
        {row.name && <span className={`${css.id} ellipsis`}>{row.id}</span>}
      </span>
      <span>
        <Presence online={online} />
      </span>
      <span className={`${css.tags} ${css.wide}`}>
        {tags.slice(0, TAGS_SHOWN).map((tag) => (
          <button key={tag} type="button" className={css.tag} onClick={() => onTag(tag)}>
            {tag}
          </button>
        ))}
        {tags.length > TAGS_SHOWN && <span className={css.rest}>+{tags.length - TAGS_SHOWN}</span>}
      </span>
      <span className={`${css.number} ${css.wide}`}>{short(row.messages ?? 0)}</span>
      <span className={css.when}>
        <Time at={row.last_seen} as="ago" />
      </span>
    </li>
  );
});
