import { CloseButton } from "@mantine/core";
import { CircleAlert, CircleCheck } from "lucide-react";
import { useSyncExternalStore } from "react";
import { asProblem, nextStep } from "@/api/problem";
import css from "./toasts.module.css";

interface Toast {
  id: number;
  tone: "good" | "warn" | "bad";
  title: string;
  words?: string;
  undo?: () => void;
}

const LASTS_MS = 6000;
const LONGER_MS = 12_000; // there is something to read, or to decide
const MOST = 4;
let shown: Toast[] = [];
let number = 0;
const listeners = new Set<() => void>();

function change(next: Toast[]): void {
  shown = next;
  for (const listener of listeners) listener();
}

function close(id: number): void {
  change(shown.filter((each) => each.id !== id));
}

function show(toast: Omit<Toast, "id">): void {
  const id = ++number;
  change([...shown, { ...toast, id }].slice(-MOST));
  window.setTimeout(() => close(id), toast.tone !== "good" || toast.undo ? LONGER_MS : LASTS_MS);
}

/** Says that something was done; `undo` where it can be taken back. */
export const done = (title: string, more: { words?: string; undo?: () => void } = {}): void =>
  show({ tone: "good", title, ...more });

/** Says that it went through, and did not do what was wanted. */
export const notDone = (title: string, more: { words?: string } = {}): void =>
  show({ tone: "warn", title, ...more });

/** Says what went wrong and what to do. */
export function failed(error: unknown): void {
  const problem = asProblem(error);
  const words = [problem.detail, nextStep(problem), `(${problem.code})`].filter(Boolean).join(" ");
  show({ tone: "bad", title: problem.title, words });
}

export function Toasts() {
  const toasts = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => shown,
  );
  return (
    <div className={css.region} role="status" aria-live="polite">
      {toasts.map((toast) => (
        <div key={toast.id} className={`${css.toast} ${css[toast.tone]}`}>
          <span className={css.icon} aria-hidden>
            {toast.tone === "good" ? <CircleCheck size={18} /> : <CircleAlert size={18} />}
          </span>
          <div className={css.words}>
            <strong className={css.title}>{toast.title}</strong>
            {toast.words && <p className={css.text}>{toast.words}</p>}
            {toast.undo && (
              <button
                type="button"
                className={css.undo}
                onClick={() => {
                  toast.undo?.();
                  close(toast.id);
                }}
              >
                Undo
              </button>
            )}
          </div>
          <CloseButton size="sm" aria-label="Close this message" onClick={() => close(toast.id)} />
        </div>
      ))}
    </div>
  );
}
