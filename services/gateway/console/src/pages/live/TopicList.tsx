import { ActionIcon } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ChevronDown, ChevronRight, Filter, ListTree } from "lucide-react";
import { useRef, useState } from "react";
import { Empty } from "@/ui/Feedback";
import { count } from "@/ui/format";
import { Scroller } from "@/ui/Scroller";
import { Time } from "@/ui/Time";
import { Tip } from "@/ui/Tip";
import css from "./Live.module.css";
import { preview } from "./message";
import { type Tail, useShown } from "./tail";
import { LEVELS_MAX } from "./topics";

const LINE = 34;
const OPEN_LEVELS_MAX = 40; // a small tree is open from the beginning

interface TopicListProps {
  tail: Tail;
  only: (filter: string) => void;
}

/** What came by topic: how many, and the last of each. */
export function TopicList({ tail, only }: TopicListProps) {
  useShown(tail); // the tree changes as it does
  const { tree } = tail;
  const [turned, setTurned] = useState<ReadonlyMap<string, boolean>>(new Map());
  const small = tree.levels <= OPEN_LEVELS_MAX;
  const lines = tree.lines((path, depth) => turned.get(path) ?? (small || depth === 0));
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE,
    overscan: 10,
  });
  if (lines.length === 0) {
    return (
      <Empty icon={ListTree} title="No topics yet">
        Each topic is listed here with its count and its last value, as soon as a message comes on it.
      </Empty>
    );
  }
  const items = virtual.getVirtualItems();
  const turn = (path: string, open: boolean) => setTurned((before) => new Map(before).set(path, open));
  return (
    <>
      <Scroller ref={scroller} label="Topics" className={css.scroller}>
        <div style={{ height: virtual.getTotalSize() }}>
          <ul className={css.lines} style={{ transform: `translateY(${items[0]?.start ?? 0}px)` }}>
            {items.map((item) => {
              const line = lines[item.index];
              if (!line) return null;
              const { level } = line;
              const isBranch = level.below.size > 0;
              return (
                <li key={level.path} className={css.place} style={{ height: LINE }}>
                  <div className={css.branch}>
                    <span className={css.level} style={{ paddingLeft: Math.min(line.depth, 8) * 18 }}>
                      {isBranch ? (
                        <ActionIcon
                          variant="subtle"
                          color="gray"
                          size="sm"
                          aria-expanded={line.open}
                          aria-label={`${line.open ? "Close" : "Open"} ${level.path}`}
                          onClick={() => turn(level.path, !line.open)}
                        >
                          {line.open ? <ChevronDown size={15} /> : <ChevronRight size={15} />}
                        </ActionIcon>
                      ) : (
                        <span className={css.leaf} />
                      )}
                      <span className={css.levelName} title={level.path}>
                        {line.name}
                      </span>
                    </span>
                    <span className={css.levelCount}>{count(level.count)}</span>
                    <span className={css.lastValue}>{level.last ? preview(level.last) : ""}</span>
                    <span className={css.lastTime}>
                      <Time at={level.at} as="time" />
                    </span>
                    <Tip label="Only this" at="end">
                      <ActionIcon
                        variant="subtle"
                        color="gray"
                        size="sm"
                        aria-label={`Only ${level.path}`}
                        onClick={() => only(isBranch ? `${level.path}/#` : level.path)}
                      >
                        <Filter size={14} />
                      </ActionIcon>
                    </Tip>
                  </div>
                </li>
              );
            })}
          </ul>
        </div>
      </Scroller>
      {tree.leftOut > 0 && (
        <p className={css.note}>
          {count(tree.leftOut)} messages came on topics beyond the first {count(LEVELS_MAX)} levels: narrow
          the topic filter to see them.
        </p>
      )}
    </>
  );
}
