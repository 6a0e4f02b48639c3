import { Drawer } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, type RefObject, useLayoutEffect, useRef, useState } from "react";
import css from "./Live.module.css";
import { MessageDetail } from "./MessageDetail";
import { type LiveMessage, preview, relative } from "./message";

const LINE = 36;
const LINE_OF_PHONE = 58;
const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  hourCycle: "h23",
});

interface MessageListProps {
  messages: readonly LiveMessage[]; // newest first
  /** How many there ever were: what is in sight stays there as more come. */
  listed?: number;
  empty: ReactNode;
}

/** Only the lines in sight are in the document. */
export function MessageList({ messages, listed = 0, empty }: MessageListProps) {
  const [opened, setOpened] = useState<LiveMessage | null>(null);
  const phone = useMediaQuery("(max-width: 48em)", undefined, { getInitialValueInEffect: false });
  const line = phone ? LINE_OF_PHONE : LINE;
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: messages.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => line,
    overscan: 8,
  });
  useStaying(scroller, listed, line);
  if (messages.length === 0) return empty;
  return (
    <>
      <div ref={scroller} className={css.scroller}>
        <ul className={css.lines} style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const message = messages[item.index] as LiveMessage;
            return (
              <li
                key={message.sequence}
                className={css.place}
                style={{ height: line, transform: `translateY(${item.start}px)` }}
              >
                <button type="button" className={css.line} onClick={() => setOpened(message)}>
                  <span className={css.time}>{CLOCK.format(new Date(message.received_at))}</span>
                  <Badges message={message} />
                  <span className={css.topic} title={message.topic}>
                    {relative(message.topic)}
                  </span>
                  <span className={message.failure ? css.badPayload : css.payload}>{preview(message)}</span>
                </button>
              </li>
            );
          })}
        </ul>
      </div>
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

/** Whoever has scrolled away from the newest keeps what is in sight as new lines come above it. */
function useStaying(scroller: RefObject<HTMLDivElement | null>, listed: number, line: number): void {
  const before = useRef(listed);
  useLayoutEffect(() => {
    const came = listed - before.current;
    before.current = listed;
    const box = scroller.current;
    if (box && came > 0 && box.scrollTop > line) box.scrollTop += came * line;
  }, [scroller, listed, line]);
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
