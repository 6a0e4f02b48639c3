import css from "./Status.module.css";

export type Tone = "good" | "warn" | "bad" | "idle";

/** A state in a word and a colour, never by colour alone. */
export function Status({ tone, children, pulse }: { tone: Tone; children: string; pulse?: boolean }) {
  return (
    <span className={`${css.status} ${css[tone]}`}>
      <span className={`${css.dot} ${pulse ? css.pulse : ""}`} aria-hidden />
      {children}
    </span>
  );
}
