import type { ReactNode } from "react";
import type { ActivityRow } from "@/api/schema";
import { CopyValue } from "@/ui/Copy";
import { PageLink } from "@/ui/links";
import { Facts } from "@/ui/Page";
import { Time } from "@/ui/Time";
import { Value } from "@/ui/Value";

/** All that is known of one entry, with the ways to what it is about. */
export function Entry({ row }: { row: ActivityRow }) {
  const known: [string, ReactNode][] = [
    ["Summary", row.summary],
    ["Kind", <Narrowed key="kind" by="kind" value={row.kind} />],
    ["Reason", row.reason],
    ["Time", <Time key="time" at={row.time} />],
    ["Actor", <Narrowed key="actor" by="actor" value={row.actor} />],
    ["Subject", row.subject && <Subject subject={row.subject} />],
    [
      "Device",
      row.device_id && (
        <PageLink to="/devices/$id" params={{ id: row.device_id }}>
          {row.device_id}
        </PageLink>
      ),
    ],
    ["Trace", row.trace_id && <CopyValue text={row.trace_id} label="trace id" />],
    ["Id", <CopyValue key="id" text={row.id} label="id" />],
    ...Object.entries(row.details ?? {}).map(([name, value]): [string, ReactNode] => [
      name.replaceAll("_", " "),
      <Value key={name} value={value} />,
    ]),
  ];
  return <Facts rows={known.filter(([, value]) => value !== null && value !== undefined && value !== "")} />;
}

function Narrowed({ by, value }: { by: "kind" | "actor"; value: string }) {
  return (
    <>
      <span className="mono">{value}</span>{" "}
      <PageLink to="/activity" search={{ [by]: value }} size="sm" underline="always">
        only these
      </PageLink>
    </>
  );
}

/** `credential:cred_…`: a link where there is a page of it. */
function Subject({ subject }: { subject: string }) {
  const colon = subject.indexOf(":");
  const id = subject.slice(colon + 1);
  const pages: Record<string, string> = {
    credential: "/credentials/$id",
    integration: "/integrations/$id",
    alert: "/alerts/$id",
    webhook: "/webhooks/$id",
    device: "/devices/$id",
  };
  const to = pages[subject.slice(0, Math.max(0, colon))];
  if (!to) return <span className="mono">{subject}</span>;
  return (
    <PageLink to={to} params={{ id }} className="mono">
      {subject}
    </PageLink>
  );
}
