import type { ReactNode } from "react";
import css from "./Tip.module.css";

interface TipProps {
  label: string;
  /** At which end of the child it begins, where the middle would leave the window. */
  at?: "start" | "end";
  children: ReactNode;
}

/** Words beside what has none, while one points at it. In CSS: Mantine's would make the first page a tenth larger. */
export function Tip({ label, at, children }: TipProps) {
  return (
    <span className={`${css.tip} ${at ? css[at] : ""}`} data-tip={label}>
      {children}
    </span>
  );
}
