import { Progress as Bar, Button, Checkbox } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { useCallback, useEffect, useRef, useState } from "react";
import { connectionQuery } from "@/api/connection";
import { download } from "@/ui/download";
import { ProblemAlert } from "@/ui/Feedback";
import { count } from "@/ui/format";
import { Card } from "@/ui/Page";
import { Unsaved } from "@/ui/Unsaved";
import css from "./Bulk.module.css";
import {
  type Fleet,
  type Issued,
  issue,
  issuedCsv,
  issuedNdjson,
  type Progress,
  refusedCsv,
  type Told,
} from "./fleet";

/** The lines as they are issued; and then their passwords, to be saved, this once. */
export function Issuing({ fleet, done }: { fleet: Fleet; done: () => void }) {
  const { told, progress, error, running, again } = useIssued(fleet);
  const [saved, setSaved] = useState(false);
  const connection = useQuery(connectionQuery);
  const mqtt = connection.data?.endpoints.mqtt ?? "";
  const issued = told.filter((one) => one.credential).length;
  const refused = told.length - issued;
  return (
    <Card title={running ? "Issuing" : error ? "Broken off" : "Save the passwords now"}>
      <div className={css.stack}>
        <div role="status">
          <p className={css.line}>
            <strong>{count(issued)}</strong> issued
            {progress && <> of {count(progress.total)}</>}
            {refused > 0 && <>, {count(refused)} refused</>}
          </p>
          <Bar
            value={progress ? (100 * progress.done) / progress.total : 0}
            aria-label="Issued"
            color={error ? "red" : undefined}
          />
        </div>
        {error !== undefined && (
          <>
            <ProblemAlert error={error} />
            <p className={css.line}>
              What was issued is kept. Go on, and the same lines are sent again: none is issued twice, and the
              passwords that you have not seen come with the others.
            </p>
            <div className={css.end}>
              <Button onClick={again}>Go on</Button>
            </div>
          </>
        )}
        {issued > 0 && !running && (
          <>
            <p className={css.line}>
              The passwords are in these files, and nowhere else: they are shown this once, and the platform
              keeps only a hash of each.
            </p>
            <div className={css.buttons}>
              <Button
                leftSection={<Download size={16} />}
                onClick={() => download("credentials-issued.csv", issuedCsv(told, mqtt), "text/csv")}
              >
                Passwords as CSV
              </Button>
              <Button
                variant="default"
                leftSection={<Download size={16} />}
                onClick={() => download("credentials-issued.ndjson", issuedNdjson(told, mqtt))}
              >
                As NDJSON
              </Button>
              {refused > 0 && <Refusals told={told} />}
            </div>
            <div className={css.saved}>
              <Checkbox
                label="I saved them"
                checked={saved}
                onChange={(event) => setSaved(event.currentTarget.checked)}
              />
              <Button disabled={!saved} onClick={done}>
                To the credentials
              </Button>
            </div>
          </>
        )}
        {issued === 0 && !running && error === undefined && (
          <>
            <p className={css.line}>No line could be issued.</p>
            <div className={css.buttons}>
              <Refusals told={told} />
              <Button onClick={done}>To the credentials</Button>
            </div>
          </>
        )}
      </div>
      {running && (
        <Unsaved title="Credentials are being issued">
          Their passwords come to this page alone. If you leave, those that are issued by then have passwords
          that nobody knows.
        </Unsaved>
      )}
      {!running && issued > 0 && !saved && (
        <Unsaved title="The passwords are not saved yet">
          {`${count(issued)} passwords are shown here, this once. If you leave, nobody can show them to you again.`}
        </Unsaved>
      )}
    </Card>
  );
}

function Refusals({ told }: { told: Told<Issued>[] }) {
  return (
    <Button
      variant="default"
      leftSection={<Download size={16} />}
      onClick={() => download("credentials-refused.csv", refusedCsv(told), "text/csv")}
    >
      Why the others were refused
    </Button>
  );
}

function useIssued(fleet: Fleet) {
  const [told, setTold] = useState<Told<Issued>[]>([]);
  const [progress, setProgress] = useState<Progress>();
  const [error, setError] = useState<unknown>();
  const [running, setRunning] = useState(true);
  const run = useCallback(() => {
    const heard: Told<Issued>[] = [];
    setRunning(true);
    setError(undefined);
    issue(fleet, (batch, now) => {
      heard.push(...batch);
      setTold((before) => (heard.length > before.length ? [...heard] : before)); // another try tells the same again
      setProgress(now);
    })
      .catch(setError)
      .finally(() => setRunning(false));
  }, [fleet]);
  const begun = useRef(false);
  useEffect(() => {
    if (begun.current) return;
    begun.current = true; // React's strict mode runs effects twice: the lines are sent once
    run();
  }, [run]);
  return { told, progress, error, running, again: run };
}
