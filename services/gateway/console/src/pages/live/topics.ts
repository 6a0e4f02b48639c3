import { type LiveMessage, relative } from "./message";

/** Levels that are kept: a fleet's; of more, those that come first. */
export const LEVELS_MAX = 20_000;

export interface Level {
  name: string;
  /** The topic up to here, without the organization's prefix. */
  path: string;
  /** Messages here and below. */
  count: number;
  last: LiveMessage | null; // of this very topic
  at: string; // when something came here or below
  below: Map<string, Level>;
  /** The same in order. */
  sorted: Level[];
}

/** The topics of what came, level by level, with counts and last values. */
export class TopicTree {
  readonly root: Level = level("", "");
  levels = 0;
  /** Messages whose topic found no room. */
  leftOut = 0;

  add(message: LiveMessage): void {
    const path: Level[] = [this.root];
    let here = this.root;
    for (const name of relative(message.topic).split("/")) {
      let next = here.below.get(name);
      if (!next) {
        if (this.levels >= LEVELS_MAX) {
          this.leftOut += 1;
          return;
        }
        next = level(name, here === this.root ? name : `${here.path}/${name}`);
        here.below.set(name, next);
        here.sorted.splice(place(here.sorted, name), 0, next);
        this.levels += 1;
      }
      path.push(next);
      here = next;
    }
    here.last = message;
    for (const each of path) {
      each.count += 1;
      each.at = message.received_at;
    }
  }

  clear(): void {
    this.root.below.clear();
    this.root.sorted = [];
    this.root.count = this.levels = this.leftOut = 0;
  }

  /** The lines of a tree whose `open` levels show what is below them; levels with one way down are one line. */
  lines(open: (path: string, depth: number) => boolean): Line[] {
    const found: Line[] = [];
    const walk = (at: Level, depth: number) => {
      for (const each of at.sorted) {
        let shown = each;
        let name = each.name;
        while (shown.below.size === 1 && !shown.last) {
          shown = shown.below.values().next().value as Level;
          name = `${name}/${shown.name}`;
        }
        const isOpen = shown.below.size > 0 && open(shown.path, depth);
        found.push({ level: shown, name, depth, open: isOpen });
        if (isOpen) walk(shown, depth + 1);
      }
    };
    walk(this.root, 0);
    return found;
  }
}

export interface Line {
  level: Level;
  name: string;
  depth: number;
  open: boolean;
}

const level = (name: string, path: string): Level => ({
  name,
  path,
  count: 0,
  last: null,
  at: "",
  below: new Map(),
  sorted: [],
});

const ORDER = new Intl.Collator(undefined, { numeric: true });

/** Where a name belongs: to sort thousands of levels whenever they are drawn takes longer than a frame. */
function place(levels: Level[], name: string): number {
  let low = 0;
  let high = levels.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ORDER.compare((levels[middle] as Level).name, name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
