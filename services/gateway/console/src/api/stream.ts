import { useEffect, useRef, useState } from "react";
import { ownHeaders, refusal } from "./client";
import { asProblem, type Problem } from "./problem";
import { EventParser, type StreamEvent } from "./sse";

export type { StreamEvent } from "./sse";

export interface Gap {
  reason: "trimmed" | "recreated" | string;
  last_event_id: number;
  resumes_at: number;
}

export type StreamState =
  | { is: "connecting" }
  | { is: "live" }
  | { is: "waiting"; problem: Problem; retryAt: number }
  | { is: "asleep" };

const RETRY_MS = 1000;
const RETRY_MS_MAX = 15_000;
const SILENT_MS = 40_000; // the server says something every 15 s
const HIDDEN_MS = 60_000; // a browser has six connections to a host: a tab that nobody sees gives its one back

/**
 * A stream of server-sent events that comes back by itself, where it was: after a restart of the gateway, a broken
 * network or a laptop's sleep it sends the last id that it has, and what came meanwhile follows. It is read by `fetch`
 * rather than `EventSource`, which can neither send our headers nor say why it was refused.
 */
export class LiveStream {
  private stopped = false;
  private lastId = "";
  private attempt = 0;
  private retryMs = RETRY_MS;
  private abort: AbortController | null = null;
  private wake: (() => void) | null = null;
  private hiddenTimer: number | undefined;

  constructor(
    private readonly address: string,
    private readonly onEvent: (event: StreamEvent) => void,
    private readonly onState: (state: StreamState) => void,
  ) {}

  start(): () => void {
    document.addEventListener("visibilitychange", this.onVisibility);
    window.addEventListener("online", this.onOnline);
    void this.run();
    return () => {
      this.stopped = true;
      document.removeEventListener("visibilitychange", this.onVisibility);
      window.removeEventListener("online", this.onOnline);
      window.clearTimeout(this.hiddenTimer);
      this.abort?.abort();
      this.wake?.();
    };
  }

  private readonly onVisibility = () => {
    window.clearTimeout(this.hiddenTimer);
    if (document.hidden) this.hiddenTimer = window.setTimeout(() => this.abort?.abort(), HIDDEN_MS);
    else this.wake?.();
  };

  private readonly onOnline = () => this.wake?.();

  private async run(): Promise<void> {
    while (!this.stopped) {
      if (document.hidden && this.lastId) {
        this.onState({ is: "asleep" });
        await this.pause(2 ** 30);
        continue;
      }
      this.onState({ is: "connecting" });
      let problem: Problem | null = null;
      try {
        await this.read();
        this.attempt = 0;
      } catch (error) {
        if (!this.stopped && !this.slept(error)) problem = asProblem(error);
      }
      if (this.stopped || document.hidden) continue;
      if (problem) {
        const waitMs = Math.min(this.retryMs * 2 ** this.attempt, RETRY_MS_MAX) * (0.5 + Math.random());
        this.attempt += 1;
        this.onState({ is: "waiting", problem, retryAt: Date.now() + waitMs });
        await this.pause(waitMs);
      } else {
        await this.pause(this.retryMs * Math.random()); // it ended in order: others come back now, too
      }
    }
  }

  private slept(error: unknown): boolean {
    return document.hidden && error instanceof DOMException && error.name === "AbortError";
  }

  private async read(): Promise<void> {
    this.abort = new AbortController();
    const abort = this.abort;
    let timer = window.setTimeout(() => abort.abort(), SILENT_MS);
    const headers = { ...ownHeaders(), ...(this.lastId ? { "last-event-id": this.lastId } : {}) };
    try {
      const response = await fetch(this.address, { headers, signal: abort.signal, cache: "no-store" });
      if (!response.ok || !response.body) throw await refusal(response);
      this.attempt = 0;
      let live = this.lastId !== ""; // a new stream first says where it begins: from then on nothing is missed
      if (live) this.onState({ is: "live" });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new EventParser();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        window.clearTimeout(timer);
        timer = window.setTimeout(() => abort.abort(), SILENT_MS);
        const events = parser.push(value);
        this.lastId = parser.lastId || this.lastId;
        this.retryMs = parser.retryMs ?? this.retryMs;
        if (!live) this.onState({ is: "live" });
        live = true;
        for (const event of events) this.onEvent(event);
      }
    } catch (error) {
      if (abort.signal.aborted && !document.hidden && !this.stopped) throw new TypeError("silent");
      throw error;
    } finally {
      window.clearTimeout(timer);
      abort.abort();
    }
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = window.setTimeout(done, ms);
      const self = this;
      function done() {
        window.clearTimeout(timer);
        self.wake = null;
        resolve();
      }
      this.wake = done;
    });
  }
}

/** Reads a stream while the component is there; `onEvent` may change between renders. `address` null: none. */
export function useLiveStream(address: string | null, onEvent: (event: StreamEvent) => void): StreamState {
  const [state, setState] = useState<StreamState>({ is: "connecting" });
  const latest = useRef(onEvent);
  latest.current = onEvent;
  useEffect(() => {
    if (address === null) return;
    return new LiveStream(address, (event) => latest.current(event), setState).start();
  }, [address]);
  return state;
}
