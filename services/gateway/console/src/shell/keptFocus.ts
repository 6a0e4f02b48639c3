import { type RefObject, useEffect } from "react";

/** Where an element stood: of each element around it, at which place, from the innermost outwards. */
interface Trail {
  target: HTMLElement;
  places: { around: Element; at: number }[];
}

/**
 * Whoever goes by keyboard goes on where they were. A button that works is disabled for so long, one that has done its
 * work goes, a row is deleted: browsers leave the focus nowhere then, and it comes back to the button, or goes to what
 * took its place, or to what stood before it. Of a dialog within the dialog; of a list whose lines go as it is scrolled
 * (`data-keeps-focus`) to the list.
 */
export function useKeptFocus(
  shell: RefObject<HTMLElement | null>,
  main: RefObject<HTMLElement | null>,
): void {
  useEffect(() => {
    const held = new Map<Element, Trail>();
    const rootOf = (element: Element) =>
      element.closest(DIALOG) ?? (shell.current?.contains(element) ? shell.current : null);
    const onFocus = ({ target }: FocusEvent) => {
      const root = target instanceof HTMLElement && rootOf(target);
      if (!root) return;
      if (target.matches(":focus-visible")) held.set(root, trailOf(target, root));
      else held.delete(root); // a mouse has its own place
    };
    const onBlur = ({ target }: FocusEvent) => {
      const root = target instanceof HTMLElement && rootOf(target);
      // nothing took it, and nothing happened to it: somebody clicked beside it
      const left = () => target instanceof HTMLElement && target.isConnected && !target.matches(":disabled");
      if (root) queueMicrotask(() => document.activeElement === document.body && left() && held.delete(root));
    };
    const observer = new MutationObserver(() => {
      if (document.activeElement !== document.body) return;
      const root = [...document.querySelectorAll(DIALOG)].at(-1) ?? shell.current;
      const trail = root && held.get(root);
      if (trail) nextOf(trail, main.current)?.focus({ preventScroll: true });
    });
    document.addEventListener("focusin", onFocus);
    document.addEventListener("focusout", onBlur);
    observer.observe(document.body, {
      childList: true,
      subtree: true,
      attributes: true,
      attributeFilter: ["disabled"],
    });
    return () => {
      document.removeEventListener("focusin", onFocus);
      document.removeEventListener("focusout", onBlur);
      observer.disconnect();
    };
  }, [shell, main]);
}

const DIALOG = "[role=dialog]";
const REACHED = "a[href], button, input, select, textarea, [tabindex]";

function trailOf(target: HTMLElement, root: Element): Trail {
  const places: Trail["places"] = [];
  for (let at: Element = target; at !== root && at.parentElement; at = at.parentElement) {
    places.push({ around: at.parentElement, at: [...at.parentElement.children].indexOf(at) });
  }
  return { target, places };
}

/** Null while there is nothing to do but to wait. */
function nextOf({ target, places }: Trail, last: HTMLElement | null): HTMLElement | null {
  if (target.isConnected) return target.matches(":disabled") ? null : target;
  for (const { around, at } of places) {
    if (!around.isConnected) continue;
    const list = around.closest<HTMLElement>("[data-keeps-focus]");
    const after = reached(around.children[at])[0];
    const next = list ?? after ?? reached(around.children[at - 1]).at(-1);
    if (next) return next;
  }
  return last;
}

/** What Tab would come to in there. */
function reached(place: Element | undefined): HTMLElement[] {
  if (!place) return [];
  return [place, ...place.querySelectorAll(REACHED)].filter(
    (each): each is HTMLElement =>
      each instanceof HTMLElement &&
      each.matches(REACHED) &&
      each.tabIndex >= 0 &&
      !each.matches(":disabled") &&
      each.getClientRects().length > 0,
  );
}
