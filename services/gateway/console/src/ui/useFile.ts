import { useMutation } from "@tanstack/react-query";
import type { MouseEvent } from "react";
import { ownHeaders, refusal } from "@/api/client";
import { done } from "./toasts";

/** What a link to a file takes. It is asked for first without its body: a refusal is told here, with what to do, and
 * not by a page of the browser's own. What comes then the browser saves as it comes, whatever its size. */
export function useFile(address: string) {
  const save = useMutation({
    mutationFn: begin,
    onSuccess: () => done("The file is on its way", { words: "The browser shows how far it is." }),
  });
  return {
    href: address,
    download: true,
    "aria-busy": save.isPending,
    onClick: (event: MouseEvent) => {
      event.preventDefault();
      if (!save.isPending) save.mutate(address);
    },
  };
}

async function begin(address: string): Promise<void> {
  const asked = await fetch(address, { method: "HEAD", headers: ownHeaders() });
  if (!asked.ok) {
    // A HEAD has no body that says why.
    const again = await fetch(address, { headers: ownHeaders() });
    if (!again.ok) throw await refusal(again);
    await again.body?.cancel();
  }
  const link = document.createElement("a");
  link.href = address;
  link.download = "";
  link.click();
}
