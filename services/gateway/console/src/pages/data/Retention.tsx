import { Button, Checkbox, NumberInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import type { RetentionView } from "@/api/schema";
import { useSession } from "@/api/session";
import { ConfirmByName } from "@/ui/ConfirmByName";
import { Answered, ProblemAlert } from "@/ui/Feedback";
import { counted } from "@/ui/format";
import css from "@/ui/List.module.css";
import { Card, Facts } from "@/ui/Page";
import { Time } from "@/ui/Time";
import { done } from "@/ui/toasts";
import { DeletionProgress, GOING_MS, going, IDLE_MS } from "./DeletionProgress";

type Kept = Pick<RetentionView, "raw_days" | "minutes_days" | "hours_days">;
const TIERS: { of: keyof Kept; since: "raw_since" | "minutes_since" | "hours_since"; label: string }[] = [
  { of: "raw_days", since: "raw_since", label: "Readings and messages as they came" },
  { of: "minutes_days", since: "minutes_since", label: "What each minute comes to" },
  { of: "hours_days", since: "hours_since", label: "What each hour and day comes to" },
];

export function Retention({ manages }: { manages: boolean }) {
  const [changing, setChanging] = useState(false);
  const query = useQuery({
    queryKey: ["retention"],
    queryFn: () => ok(api.GET("/v1/retention")),
    refetchInterval: ({ state }) => (going(state.data) ? GOING_MS : IDLE_MS),
  });
  const held = query.data;
  return (
    <Card
      title="How long it is kept"
      actions={
        manages &&
        held &&
        !changing && (
          <Button size="xs" variant="default" onClick={() => setChanging(true)}>
            Change
          </Button>
        )
      }
    >
      <Answered query={query} rows={3}>
        {held && changing ? (
          <Change held={held} onDone={() => setChanging(false)} />
        ) : (
          held && (
            <>
              <Facts
                rows={TIERS.map((tier) => [tier.label, <Span key={tier.of} held={held} tier={tier} />])}
              />
              <DeletionProgress held={held} />
              <p className={css.hint}>
                Counted in days of UTC, by the times of the readings.
                {!held.chosen && " These are the platform's usual times."}
                {!manages && " Somebody whose key has the scope admin can change them."}
              </p>
            </>
          )
        )}
      </Answered>
    </Card>
  );
}

function Span({ held, tier }: { held: RetentionView; tier: (typeof TIERS)[number] }) {
  const since = held[tier.since];
  return (
    <>
      {days(held[tier.of])}
      {since && (
        <span className={css.under}>
          {" "}
          · nothing older than <Time at={since} as="day" />
        </span>
      )}
    </>
  );
}

const days = (n: number | null): string => (n === null ? "for ever" : counted(n, "day"));

const shorter = (now: number | null, before: number | null): boolean =>
  now !== null && (before === null || now < before);

function Change({ held, onDone }: { held: RetentionView; onDone: () => void }) {
  const client = useQueryClient();
  const session = useSession();
  const before: Kept = {
    raw_days: held.raw_days,
    minutes_days: held.minutes_days,
    hours_days: held.hours_days,
  };
  const [wanted, setWanted] = useState(before);
  const [asking, setAsking] = useState(false);
  const set = (change: Partial<Kept>) => setWanted((now) => ({ ...now, ...change }));
  const saving = useMutation({
    mutationFn: (body: Kept) => ok(api.PUT("/v1/retention", { body })),
    meta: { shown: true },
    onError: () => setAsking(false), // what went wrong stands in the form behind the question
    onSuccess: (_, saved) => {
      const lessened = TIERS.some(({ of }) => shorter(saved[of], before[of]));
      done("Kept as you said", lessened ? {} : { undo: () => saving.mutate(before) });
      void client.invalidateQueries({ queryKey: ["retention"] });
      void client.invalidateQueries({ queryKey: ["storage"] });
      onDone();
    },
  });
  const lost = TIERS.filter(({ of }) => shorter(wanted[of], before[of]));
  const disordered =
    wanted.raw_days > wanted.minutes_days ||
    (wanted.hours_days !== null && wanted.minutes_days > wanted.hours_days);
  const same = TIERS.every(({ of }) => wanted[of] === before[of]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (lost.length) setAsking(true);
    else saving.mutate(wanted);
  };
  return (
    <form onSubmit={submit} className={css.form}>
      <div className={css.row}>
        <Days label="Readings and messages, days" value={wanted.raw_days} set={(n) => set({ raw_days: n })} />
        <Days label="By the minute, days" value={wanted.minutes_days} set={(n) => set({ minutes_days: n })} />
        <Days
          label="By the hour and day, days"
          value={wanted.hours_days}
          set={(n) => set({ hours_days: n })}
        />
      </div>
      <Checkbox
        label="Keep hours and days for ever"
        checked={wanted.hours_days === null}
        onChange={(event) =>
          set({ hours_days: event.currentTarget.checked ? null : Math.max(wanted.minutes_days, 365) })
        }
      />
      {disordered && (
        <p className={css.wrong} role="alert">
          Each is kept at least as long as the one before it: minutes are made of readings, hours of minutes.
        </p>
      )}
      {saving.error && <ProblemAlert error={saving.error} />}
      <div className={css.end}>
        <Button variant="default" onClick={onDone}>
          Cancel
        </Button>
        <Button type="submit" disabled={same || disordered} loading={saving.isPending}>
          Save
        </Button>
      </div>
      <ConfirmByName
        opened={asking}
        onClose={() => setAsking(false)}
        title="Delete what is older?"
        name={session.organization_name ?? session.organization}
        action="Delete it"
        run={() => saving.mutateAsync(wanted)}
      >
        {lost.map(({ of, label }) => (
          <p key={of}>
            {label}: kept for {days(wanted[of])} instead of {days(before[of])}. What is older than{" "}
            <Time at={ago(wanted[of] ?? 0)} as="day" /> is gone within a second, for good.
          </p>
        ))}
      </ConfirmByName>
    </form>
  );
}

const ago = (n: number): string => new Date(Date.now() - n * 86_400_000).toISOString();

function Days({ label, value, set }: { label: string; value: number | null; set: (n: number) => void }) {
  return (
    <NumberInput
      label={label}
      min={1}
      max={36_500}
      allowDecimal={false}
      required
      disabled={value === null}
      value={value ?? ""}
      placeholder="for ever"
      onChange={(n) => set(Number(n) || 1)}
    />
  );
}
