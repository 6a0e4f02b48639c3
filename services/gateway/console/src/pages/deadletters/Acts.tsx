import { Button } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { RotateCw, Trash2 } from "lucide-react";
import { useState } from "react";
import { api, ok } from "@/api/client";
import type { Retried } from "@/api/schema";
import { ConfirmByName } from "@/ui/ConfirmByName";
import { count } from "@/ui/format";
import css from "@/ui/List.module.css";
import { done, notDone } from "@/ui/toasts";

interface ActsProps {
  /** Those that were chosen; with none, all open ones of `reason`. */
  ids: string[];
  reason?: string;
  /** How many that are, where it is known. */
  total?: number;
  /** In the buttons' words; by default the number. */
  called?: string;
  onDone: () => void;
}

/** From so many on, discarding is typed: nobody sees them all. */
const MANY = 20;
const PHRASE = "discard them";

/** Retry, which can do no harm, and discard, which asks first. */
export function Acts({ ids, reason, total, called, onDone }: ActsProps) {
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const body = ids.length ? { ids } : { filter: reason ? { reason } : {} };
  const n = ids.length || total || 0;
  const which = called ?? (ids.length ? count(ids.length) : "all");
  const after = () => {
    onDone();
    void client.invalidateQueries({ queryKey: ["dead-letters"] });
  };
  const retrying = useMutation({
    mutationFn: () => ok(api.POST("/v1/dead-letters/retry", { body })),
    onSuccess: (result) => {
      if (result.finished && result.resolved === 0) {
        notDone("Still not readable", { words: `${retried(result)} Mend the decoder first.` });
      } else done("Read again", { words: retried(result) });
      after();
    },
  });
  const discarding = useMutation({
    mutationFn: () => ok(api.POST("/v1/dead-letters/discard", { body })),
    onSuccess: (result) => {
      done(`${count(result.discarded)} discarded`, {
        words: result.more ? "Others match: discard once more." : undefined,
      });
      after();
    },
  });
  return (
    <div className={css.end}>
      <Button
        variant="default"
        leftSection={<RotateCw size={15} />}
        loading={retrying.isPending}
        onClick={() => retrying.mutate()}
      >
        Retry {which}
      </Button>
      <Button variant="default" leftSection={<Trash2 size={15} />} onClick={() => setAsking(true)}>
        Discard {which}
      </Button>
      <ConfirmByName
        opened={asking}
        onClose={() => setAsking(false)}
        title={n === 1 ? "Discard this letter?" : `Discard ${n ? count(n) : which} letters?`}
        name={n >= MANY || (!ids.length && !total) ? PHRASE : undefined}
        action="Discard"
        run={() => discarding.mutateAsync()}
      >
        {n === 1
          ? "It is not retried any more. Its message stays"
          : "They are not retried any more. Their messages stay"}{" "}
        in the log until its retention ends, and Redecode still reads {n === 1 ? "it" : "them"}.
      </ConfirmByName>
    </div>
  );
}

function retried(result: Retried): string {
  const parts = [`${count(result.resolved)} of ${count(result.chosen)} could be read.`];
  if (!result.finished) parts.push("The others are being read: see Redecode.");
  if (result.gone) parts.push(`${count(result.gone)} are in the log no longer.`);
  if (result.more) parts.push("Others match: retry once more.");
  return parts.join(" ");
}
