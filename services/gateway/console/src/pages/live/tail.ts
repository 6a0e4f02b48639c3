import { useSyncExternalStore } from "react";
import type { LiveMessage } from "./message";
import { TopicTree } from "./topics";

/** Lines that are kept; older ones leave as new ones come. */
export const KEPT = 1000;
const EVERY_MS = 120; // eight times a second: faster than anybody reads, and cheap at any rate
export const CAPS = [10, 50, 200, 0] as const;

export interface Shown {
  messages: readonly LiveMessage[]; // newest first
  /** Came, and were not listed: over the cap, or while it was paused. */
  hidden: number;
  paused: boolean;
  /** That came while it was paused. */
  waiting: number;
  perSecond: number;
  total: number;
  /** How many lines there ever were. */
  listed: number;
}

/**
 * What came last, for a page that is drawn some times a second whatever the rate. Messages over the cap are counted and
 * not listed; the tree of topics has all of them.
 */
export class Tail {
  readonly tree = new TopicTree();
  cap: number = CAPS[1];
  private kept: LiveMessage[] = []; // newest last
  private hidden = 0;
  private waiting = 0;
  private paused = false;
  private total = 0;
  private second = 0;
  private inSecond = 0;
  private listedInSecond = 0;
  private listed = 0;
  private perSecond = 0;
  private changed = false;
  private shown: Shown = this.snapshot();
  private listeners = new Set<() => void>();
  private timer: number | undefined;

  add(message: LiveMessage): void {
    this.turn(Date.now());
    this.inSecond += 1;
    this.total += 1;
    this.changed = true;
    this.tree.add(message);
    if (this.paused) this.waiting += 1;
    else if (this.cap && this.listedInSecond >= this.cap) this.hidden += 1;
    else this.list(message);
  }

  /** What came before the page was opened; it counts as nothing that came. */
  before(messages: LiveMessage[]): void {
    for (const message of messages.toReversed()) {
      this.list(message);
      this.tree.add(message);
    }
    this.changed = true;
    this.tell();
  }

  pause(wanted: boolean): void {
    this.paused = wanted;
    if (!wanted) {
      this.hidden += this.waiting;
      this.waiting = 0;
    }
    this.changed = true;
    this.tell();
  }

  clear(): void {
    this.kept = [];
    this.hidden = this.waiting = this.total = 0;
    this.tree.clear();
    this.changed = true;
    this.tell();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    this.timer ??= window.setInterval(() => this.tell(), EVERY_MS);
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size) return;
      window.clearInterval(this.timer);
      this.timer = undefined;
    };
  };

  readonly current = (): Shown => this.shown;

  private list(message: LiveMessage): void {
    this.listedInSecond += 1;
    this.listed += 1;
    this.kept.push(message);
    if (this.kept.length > KEPT * 2) this.kept = this.kept.slice(-KEPT); // seldom, and not for each message
  }

  private turn(now: number): void {
    const second = Math.floor(now / 1000);
    if (second === this.second) return;
    this.perSecond = second === this.second + 1 ? this.inSecond : 0;
    this.second = second;
    this.inSecond = this.listedInSecond = 0;
    this.changed = true;
  }

  private tell(): void {
    this.turn(Date.now());
    if (!this.changed) return;
    this.changed = false;
    this.shown = this.snapshot();
    for (const listener of this.listeners) listener();
  }

  private snapshot(): Shown {
    return {
      messages: this.kept.slice(-KEPT).reverse(),
      hidden: this.hidden,
      paused: this.paused,
      waiting: this.waiting,
      perSecond: this.perSecond,
      total: this.total,
      listed: this.listed,
    };
  }
}

/** What is shown of it, as of the last time that it was drawn; only what asks for it is drawn again. */
export const useShown = (tail: Tail): Shown => useSyncExternalStore(tail.subscribe, tail.current);

export const usePaused = (tail: Tail): boolean =>
  useSyncExternalStore(tail.subscribe, () => tail.current().paused);
