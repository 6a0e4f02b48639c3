import { useRouter, useSearch } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type MouseEvent, memo, useEffect, useRef } from "react";
import type { DeviceRow } from "@/api/schema";
import { short } from "@/ui/format";
import { Time } from "@/ui/Time";
import { usePhone } from "@/ui/usePhone";
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
  const router = useRouter();
  const { org } = useSearch({ strict: false });
  const query = org ? `?org=${encodeURIComponent(org)}` : "";
  const scroller = useRef<HTMLDivElement>(null);
  const line = usePhone() ? LINE_OF_PHONE : LINE;
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
  const open = (event: MouseEvent) => {
    const link = (event.target as Element).closest("a[data-id]");
    const plain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
    if (!link || !plain) return;
    event.preventDefault();
    void router.navigate({ to: "/devices/$id", params: { id: link.getAttribute("data-id") ?? "" } });
  };
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
        {/* biome-ignore lint/a11y/useKeyWithClickEvents: a link's Enter is a click, too */}
        <ul
          className={css.lines}
          style={{ height: virtual.getTotalSize() }}
          aria-label="Devices"
          onClick={open}
        >
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
                query={query}
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
  /** Of its address: for which organization the operator acts. */
  query: string;
}

/**
 * Drawn once, however far the list is scrolled while it is in sight. Its link is a plain one, which the list hears: the
 * router's own costs more than the rest of a line, and hundreds come by a second.
 */
const Line = memo(function Line({ row, online, start, height, onTag, query }: LineProps) {
  const tags = row.tags ?? [];
  const below = [row.name && row.id, row.hidden && "hidden"].filter(Boolean).join(" · ");
  return (
    <li className={css.line} style={{ height, transform: `translateY(${start}px)` }}>
      <span className={css.name}>
        <a
          href={`/console/devices/${encodeURIComponent(row.id)}${query}`}
          data-id={row.id}
          className={`${css.link} ellipsis`}
        >
          {row.name ?? row.id}
        </a>
        {below && <span className={`${css.id} ellipsis`}>{below}</span>}
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
