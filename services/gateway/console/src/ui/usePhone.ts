import { useSyncExternalStore } from "react";

const NARROW = window.matchMedia("(max-width: 48em)");

function subscribe(listener: () => void): () => void {
  NARROW.addEventListener("change", listener);
  return () => NARROW.removeEventListener("change", listener);
}

/** Whether the window is as narrow as a phone's, as the style sheets have it. */
export const usePhone = (): boolean => useSyncExternalStore(subscribe, () => NARROW.matches);
