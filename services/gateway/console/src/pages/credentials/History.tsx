import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import type { CredentialView, HistoryEntry } from "@/api/schema";
import { Answered } from "@/ui/Feedback";
import { kindWords } from "@/ui/kinds";
import { Card, Facts } from "@/ui/Page";
import { Time } from "@/ui/Time";
import css from "./History.module.css";
import { historyQuery } from "./queries";

/** What happened to it, when, and by whom: the newest first. */
export function History({ credential }: { credential: CredentialView }) {
  const query = useQuery(historyQuery(credential.id));
  return (
    <Card flush label="History">
      <Answered query={query}>
        <ol className={css.entries}>
          {query.data?.toReversed().map((entry) => (
            <li key={entry.sequence} className={css.entry}>
              <div>
                <strong className={css.what}>{kindWords(entry.type)}</strong>
                <div className={css.dim}>
                  <Time at={entry.time} />
                </div>
                <div className={`${css.dim} break`}>by {entry.actor}</div>
              </div>
              <Facts rows={factsOf(entry)} />
            </li>
          ))}
        </ol>
      </Answered>
    </Card>
  );
}

const LABELS: Record<string, string> = {
  device_id: "Device",
  client_id: "Client id",
  hint: "Password",
  expires_at: "Expires",
  previous_until: "Old password until",
  publish: "May publish to",
  subscribe: "May subscribe to",
};

const labelOf = (name: string): string => {
  const words = name.replaceAll("_", " ");
  return LABELS[name] ?? words.charAt(0).toUpperCase() + words.slice(1);
};

function factsOf({ data }: HistoryEntry): [string, ReactNode][] {
  return Object.entries(data).flatMap(([name, value]) => {
    if (value === null || value === "") return name === "expires_at" ? [[labelOf(name), "never"]] : [];
    return [[labelOf(name), shown(name, value)]];
  });
}

function shown(name: string, value: unknown): ReactNode {
  if (Array.isArray(value)) {
    return (
      <span className="mono">
        {value.length === 0 ? "nothing" : value.map((each) => <div key={String(each)}>{String(each)}</div>)}
      </span>
    );
  }
  if (name.endsWith("_at") || name.endsWith("_until")) return <Time at={String(value)} />;
  if (name === "hint") return <span className="mono">{`${String(value)}…`}</span>;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
