import { ActionIcon } from "@mantine/core";
import { ChevronLeft, ChevronRight, type LucideIcon, ZoomIn, ZoomOut } from "lucide-react";
import { Tip } from "@/ui/Tip";
import css from "./Device.module.css";
import { moved, type Span } from "./range";

const STEPS: [label: string, icon: LucideIcon, by: number, times: number][] = [
  ["Earlier", ChevronLeft, -0.5, 1],
  ["Later", ChevronRight, 0.5, 1],
  ["Closer", ZoomIn, 0, 0.5],
  ["Wider", ZoomOut, 0, 2],
];

/** What dragging over a chart does, for keyboards and fingers. */
export function RangeSteps({ span, show }: { span: Span; show: (span: Span) => void }) {
  return (
    <div className={css.stepButtons}>
      {STEPS.map(([label, Icon, by, times]) => {
        const next = moved(span, by, times);
        return (
          <Tip key={label} label={label}>
            <ActionIcon
              variant="default"
              size={30}
              aria-label={label}
              disabled={next === null}
              onClick={() => next && show(next)}
            >
              <Icon size={15} />
            </ActionIcon>
          </Tip>
        );
      })}
    </div>
  );
}
