import { Progress } from "@mantine/core";
import type { RetentionView } from "@/api/schema";
import { count, counted } from "@/ui/format";
import css from "@/ui/List.module.css";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";

export const GOING_MS = 2000;
export const IDLE_MS = 10_000; // it begins by itself: with a new day, or a moment after somebody chose
const LEFT_MAX = 100_000; // so many or more
const JUST_MS = 60_000;

/** Whether something is to go, or went just now. */
export function going(held: RetentionView | undefined): boolean {
  const deletion = held?.deletion;
  if (!deletion) return false;
  const ended = deletion.ended_at ? Date.now() - Date.parse(deletion.ended_at) : 0;
  return deletion.state !== "done" || ended < JUST_MS;
}

/** How far the deletion is of what is past the time for which it is kept; nobody sees any of it meanwhile. */
export function DeletionProgress({ held }: { held: RetentionView }) {
  const { deletion } = held;
  if (!deletion) return null;
  const { state, rows_deleted: gone, rows_left: left, rollups_left } = deletion;
  const whole = gone + left;
  return (
    <section className={css.progress} aria-label="Deletion of what is older">
      <div className={css.between}>
        <Status tone={state === "done" ? "good" : "idle"} pulse={state === "running"}>
          {WORDS[state]}
        </Status>
        <span className={css.under}>
          {state === "done" ? (
            <>
              {gone ? counted(gone, "row") : "nothing was left"}, <Time at={deletion.ended_at} as="ago" />
            </>
          ) : (
            `${count(gone)} gone, ${left >= LEFT_MAX ? `${count(LEFT_MAX)} or more` : count(left)} to go`
          )}
        </span>
      </div>
      {state !== "done" && whole > 0 && left < LEFT_MAX && (
        <Progress value={(100 * gone) / whole} aria-label="Rows deleted" />
      )}
      <p className={css.under}>
        {state === "waiting" &&
          "It is not seen any more. It goes once its minutes, hours and days are computed, and when its turn comes, within minutes. "}
        {state !== "done" &&
          rollups_left &&
          "What minutes, hours and days came to goes behind the readings. "}
        Days that nobody keeps longer go as a whole, and are not counted.
      </p>
    </section>
  );
}

const WORDS = {
  waiting: "What is older waits to be deleted",
  running: "What is older is being deleted",
  done: "What was older is deleted",
};
