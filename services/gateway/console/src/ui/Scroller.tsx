import type { HTMLAttributes, Ref } from "react";

interface ScrollerProps extends HTMLAttributes<HTMLDivElement> {
  label: string;
  ref: Ref<HTMLDivElement>;
}

/** What a list of thousands scrolls in: by arrows, PageDown and End, too; a line that goes leaves the focus to it. */
export function Scroller({ label, ...rest }: ScrollerProps) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for fields
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <div role="group" aria-label={label} tabIndex={0} data-keeps-focus {...rest} />
  );
}
