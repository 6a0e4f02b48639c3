import { Progress as Bar, Button, SegmentedControl } from "@mantine/core";
import { useEffect, useMemo, useState } from "react";
import { ProblemAlert } from "@/ui/Feedback";
import { count } from "@/ui/format";
import { Lines } from "@/ui/Lines";
import { Card } from "@/ui/Page";
import { Status } from "@/ui/Status";
import css from "./Bulk.module.css";
import { check, type Draft, type Fleet, type Progress, type Told, words } from "./fleet";

interface PreviewProps {
  fleet: Fleet;
  back: () => void;
  go: () => void;
}

/** A line, and an earlier one of the same device. */
interface Row extends Told<Draft> {
  twin?: number;
}

/** What would come of each line, as the platform itself says: the same rules as for issuing. */
export function Preview({ fleet, back, go }: PreviewProps) {
  const { told, progress, error, again } = useChecked(fleet);
  const [shown, setShown] = useState("all");
  const rows = useMemo(() => withTwins(told), [told]);
  const refused = useMemo(() => rows.filter((row) => row.error), [rows]);
  const twins = useMemo(() => rows.filter((row) => row.twin).length, [rows]);
  const whole = progress !== undefined && progress.done === progress.total;
  const good = rows.length - refused.length;
  return (
    <Card
      title={fleet.name}
      flush
      label="What would be issued"
      actions={
        <div className={css.buttons}>
          <Button variant="default" onClick={back}>
            Other lines
          </Button>
          <Button onClick={go} disabled={!whole || good === 0}>
            {whole ? `Issue ${count(good)} ${good === 1 ? "credential" : "credentials"}` : "Issue"}
          </Button>
        </div>
      }
    >
      {error !== undefined && (
        <div className={css.padded}>
          <ProblemAlert error={error} retry={again} />
        </div>
      )}
      {!whole && error === undefined && (
        <div className={css.padded} role="status">
          <p className={css.dim}>
            Checking {progress ? `${count(progress.done)} of ${count(progress.total)} lines` : "the lines"}…
          </p>
          <Bar value={progress ? (100 * progress.done) / progress.total : 0} aria-label="Checked" />
        </div>
      )}
      {rows.length > 0 && (
        <>
          <div className={css.summary}>
            <SegmentedControl
              aria-label="Which lines"
              value={shown}
              onChange={setShown}
              data={[
                { value: "all", label: `All ${count(rows.length)}` },
                { value: "refused", label: `With an error ${count(refused.length)}` },
              ]}
            />
            <span className={css.dim}>
              {refused.length > 0
                ? "Lines with an error are left out: mend the file, or go on without them."
                : whole && "Every line can be issued."}
              {twins > 0 &&
                ` ${count(twins)} ${twins === 1 ? "line is" : "lines are"} for a device that an earlier line has, too: each gets a credential of its own.`}
            </span>
          </div>
          {shown === "refused" && refused.length === 0 ? (
            <p className={css.none}>No line has an error.</p>
          ) : (
            <Lines
              label="Lines"
              rows={shown === "refused" ? refused : rows}
              keyOf={numberOf}
              draw={drawn}
              columns={css.columns}
              head={HEAD}
              height={52}
              heightOfPhone={72}
              beside={370}
            />
          )}
        </>
      )}
    </Card>
  );
}

function useChecked(fleet: Fleet) {
  const [told, setTold] = useState<Told<Draft>[]>([]);
  const [progress, setProgress] = useState<Progress>();
  const [error, setError] = useState<unknown>();
  const [attempt, setAttempt] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt begins anew
  useEffect(() => {
    const stop = new AbortController();
    setTold([]);
    setProgress(undefined);
    setError(undefined);
    check(
      fleet,
      (batch, now) => {
        setTold((before) => [...before, ...batch]);
        setProgress(now);
      },
      stop.signal,
    ).catch((failure: unknown) => {
      if (!stop.signal.aborted) setError(failure);
    });
    return () => stop.abort();
  }, [fleet, attempt]);
  return { told, progress, error, again: () => setAttempt(attempt + 1) };
}

function withTwins(told: Told<Draft>[]): Row[] {
  const first = new Map<string, number>();
  return told.map((one) => {
    const device = one.credential?.device_id;
    if (!device) return one;
    const twin = first.get(device);
    if (twin === undefined) first.set(device, one.line);
    return twin === undefined ? one : { ...one, twin };
  });
}

const numberOf = (row: Row) => row.line;

const HEAD = (
  <>
    <span>Line</span>
    <span>Credential</span>
    <span className={css.wide}>Publishes to</span>
    <span className={css.wide}>Subscribes to</span>
    <span>State</span>
  </>
);

const drawn = ({ line, credential, error, twin }: Row) => (
  <>
    <span className={css.dim}>{line}</span>
    {error ? (
      <span className={css.why} title={words(error)}>
        {words(error)}
      </span>
    ) : (
      <>
        <span className={css.two}>
          <span className="ellipsis">{credential?.name ?? "a generated name"}</span>
          <span className={`${css.dim} ellipsis`}>
            {credential?.username ?? credential?.device_id ?? "any device"}
            {credential?.expires_at && `, until ${new Date(credential.expires_at).toLocaleDateString()}`}
            {twin && `, like line ${twin}`}
          </span>
        </span>
        <Filters of={credential?.publish} />
        <Filters of={credential?.subscribe} />
      </>
    )}
    <span>{error ? <Status tone="bad">{error.code}</Status> : <Status tone="good">ready</Status>}</span>
  </>
);

function Filters({ of: filters = [] }: { of?: string[] }) {
  const words = filters.join("  ");
  return (
    <span className={`${css.wide} ${css.filters} mono ellipsis`} title={words}>
      {words || "nothing"}
    </span>
  );
}
