import { Drawer } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, type ReactNode, type RefObject, useLayoutEffect, useRef, useState } from "react";
import { Scroller } from "@/ui/Scroller";
import { usePhone } from "@/ui/usePhone";
import css from "./Live.module.css";
import { MessageDetail } from "./MessageDetail";
import { clock, type LiveMessage, preview, relative } from "./message";

const LINE = 36;
const LINE_OF_PHONE = 58;

interface MessageListProps {
  messages: readonly LiveMessage[]; // newest first
  /** How many there ever were: what is in sight stays there as more come. */
  listed?: number;
  empty: ReactNode;
}

/** Only the lines in sight are in the document. */
export function MessageList({ messages, listed = 0, empty }: MessageListProps) {
  const [opened, setOpened] = useState<LiveMessage | null>(null);
  const line = usePhone() ? LINE_OF_PHONE : LINE;
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: messages.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => line,
    overscan: 8,
  });
  const items = virtual.getVirtualItems();
  const away = (virtual.scrollOffset ?? 0) > line;
  useStaying(scroller, listed, away ? line : 0);
  const newest = useNewest(scroller, listed, away ? Number.POSITIVE_INFINITY : items.length);
  if (messages.length === 0) return empty;
  return (
    <>
      <Scroller ref={scroller} label="Messages" className={css.scroller}>
        <div style={{ height: virtual.getTotalSize() }}>
          <ul className={css.lines} style={{ transform: `translateY(${items[0]?.start ?? 0}px)` }}>
            {items.map(({ index }) => {
              const message = messages[index] as LiveMessage;
              return <Line key={newest - index} message={message} height={line} open={setOpened} />;
            })}
          </ul>
        </div>
      </Scroller>
      <Drawer
        opened={opened !== null}
        onClose={() => setOpened(null)}
        position="right"
        size={560}
        title="Message"
        closeButtonProps={{ "aria-label": "Close" }}
      >
        {opened && <MessageDetail message={opened} />}
      </Drawer>
    </>
  );
}

interface LineProps {
  message: LiveMessage;
  height: number;
  open: (message: LiveMessage) => void;
}

/** It stands below the line before it, so that one that comes above changes nothing in it. */
const Line = memo(function Line({ message, height, open }: LineProps) {
  return (
    <li className={css.place} style={{ height }}>
      <button type="button" className={css.line} onClick={() => open(message)}>
        <span className={css.time}>{clock(message.received_at)}</span>
        <Badges message={message} />
        <span className={css.topic} title={message.topic}>
          {relative(message.topic)}
        </span>
        <span className={message.failure ? css.badPayload : css.payload}>{preview(message)}</span>
      </button>
    </li>
  );
});

/** Whoever has scrolled away from the newest keeps what is in sight as new lines come above it, so many px each. */
function useStaying(scroller: RefObject<HTMLDivElement | null>, listed: number, line: number): void {
  const before = useRef(listed);
  useLayoutEffect(() => {
    const came = listed - before.current;
    before.current = listed;
    if (scroller.current && came > 0 && line > 0) scroller.current.scrollTop += came * line;
  }, [scroller, listed, line]);
}

/**
 * The newest line's key; each below it has the next lower one. A line that stays in sight keeps its key; where as many
 * have come as are `inSight`, each place keeps it and shows another message: hundreds a second cost no new elements.
 * The focus is not left on a message that one has not chosen.
 */
function useNewest(scroller: RefObject<HTMLDivElement | null>, listed: number, inSight: number): number {
  const held = useRef({ listed, newest: listed, renewals: 0 });
  if (held.current.listed !== listed) {
    const { listed: before, newest, renewals } = held.current;
    const renewed = listed - before >= inSight;
    held.current = renewed
      ? { listed, newest, renewals: renewals + 1 }
      : { listed, newest: newest + listed - before, renewals };
  }
  const { newest, renewals } = held.current;
  // biome-ignore lint/correctness/useExhaustiveDependencies: whenever all lines show other messages
  useLayoutEffect(() => {
    const box = scroller.current;
    if (box?.contains(document.activeElement)) box.focus({ preventScroll: true });
  }, [scroller, renewals]);
  return newest;
}

export function Badges({ message }: { message: LiveMessage }) {
  return (
    <span className={css.badges}>
      <span className={css.badge} title={`Quality of service ${message.qos}`}>
        QoS {message.qos}
      </span>
      {message.retain && (
        <span
          className={`${css.badge} ${css.retain}`}
          title="Retained: the broker keeps it for new subscribers"
        >
          R<span className={css.rest}>etained</span>
        </span>
      )}
      {message.failure && (
        <span className={`${css.badge} ${css.bad}`} title={message.failure}>
          not decoded
        </span>
      )}
    </span>
  );
}
