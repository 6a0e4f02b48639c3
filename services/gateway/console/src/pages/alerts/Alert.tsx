import { Button, Textarea, Timeline } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useState } from "react";
import { api, ok } from "@/api/client";
import type { Alert as WholeAlert } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered } from "@/ui/Feedback";
import css from "@/ui/List.module.css";
import { PageButton, PageLink } from "@/ui/links";
import { Card, Facts, Page } from "@/ui/Page";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { done } from "@/ui/toasts";
import { Value } from "@/ui/Value";
import { About } from "./AlertsCard";
import { STATES, TONES } from "./words";

export function Alert() {
  const { id } = useParams({ from: "/signed/alerts/$id" });
  const manages = useSession().can("manage_alerts");
  const query = useQuery({
    queryKey: ["alerts", id],
    queryFn: () => ok(api.GET("/v1/alerts/{id}", { params: { path: { id } } })),
    refetchInterval: 5000,
  });
  const alert = query.data;
  return (
    <Page
      title={alert?.rule_name ?? "Alert"}
      beside={alert && <Status tone={STATES[alert.state]}>{alert.state}</Status>}
      about={alert?.summary}
      back={{ to: "/alerts", label: "Alerts" }}
    >
      {!alert && (
        <Card flush label="Alert">
          <Answered query={query}>{null}</Answered>
        </Card>
      )}
      {alert && (
        <>
          <Card title="What is known" actions={<Around alert={alert} />}>
            <Facts rows={facts(alert)} />
          </Card>
          {manages && alert.state !== "resolved" && <Answer alert={alert} />}
          <Card title="What happened">
            <Timeline bulletSize={14} lineWidth={2} active={alert.history?.length}>
              {alert.history?.map((step) => (
                <Timeline.Item key={`${step.at} ${step.event}`} title={STEPS[step.event]}>
                  {step.event !== "acknowledged" && <div>{step.summary}</div>}
                  <div className={css.under}>
                    <Time at={step.at} /> · {step.actor}
                    {step.reason && ` · ${step.reason.replaceAll("_", " ")}`}
                  </div>
                  {step.note && <blockquote className={css.note}>{step.note}</blockquote>}
                </Timeline.Item>
              ))}
            </Timeline>
          </Card>
        </>
      )}
    </Page>
  );
}

const STEPS = { opened: "Opened", acknowledged: "Acknowledged", resolved: "Resolved" } as const;
const AROUND_MS = 30 * 60_000;

/** The device's charts, from before it began until after it was over. */
function Around({ alert }: { alert: WholeAlert }) {
  if (!alert.device_id) return null;
  const end = Math.min(Date.now(), Date.parse(alert.resolved_at ?? alert.opened_at) + AROUND_MS);
  const from = new Date(Date.parse(alert.since) - AROUND_MS).toISOString();
  return (
    <PageButton
      size="xs"
      variant="default"
      to="/devices/$id"
      params={{ id: alert.device_id }}
      search={{ from, to: new Date(end).toISOString() }}
    >
      Its values around then
    </PageButton>
  );
}

function facts(alert: WholeAlert): [string, React.ReactNode][] {
  const evidence = Object.entries(alert.evidence ?? {}).map(([name, value]): [string, React.ReactNode] => [
    `${name.charAt(0).toUpperCase()}${name.slice(1).replaceAll("_", " ")}`,
    <Value key={name} value={value} />,
  ]);
  return [
    [
      "Severity",
      <Status key="severity" tone={TONES[alert.severity]}>
        {alert.severity}
      </Status>,
    ],
    ["Of", <About key="of" row={alert} />],
    [
      "Rule",
      <PageLink key="rule" to="/alerts" search={{ tab: "all", of: alert.rule_id }}>
        {alert.rule_name}: all of its alerts
      </PageLink>,
    ],
    ["Since", <Time key="since" at={alert.since} />],
    ["Opened", <Time key="opened" at={alert.opened_at} />],
    ["Acknowledged by", alert.acknowledged_by ?? "nobody"],
    ["Resolved", <Time key="resolved" at={alert.resolved_at} none="not yet" />],
    ...evidence,
  ];
}

function Answer({ alert }: { alert: WholeAlert }) {
  const client = useQueryClient();
  const [note, setNote] = useState("");
  const params = { path: { id: alert.id } };
  const body = { note: note.trim() || null };
  const said = (words: string) => {
    done(words);
    setNote("");
    void client.invalidateQueries({ queryKey: ["alerts"] });
  };
  const acknowledging = useMutation({
    mutationFn: () => ok(api.POST("/v1/alerts/{id}/acknowledge", { params, body })),
    onSuccess: () => said("Acknowledged"),
  });
  const resolving = useMutation({
    mutationFn: () => ok(api.POST("/v1/alerts/{id}/resolve", { params, body })),
    onSuccess: () => said("Resolved"),
  });
  return (
    <Card title="Answer it">
      <div className={css.form}>
        <Textarea
          label="Note"
          placeholder="On my way"
          maxLength={1000}
          value={note}
          onChange={(event) => setNote(event.currentTarget.value)}
        />
        <div className={css.end}>
          <Button variant="default" loading={resolving.isPending} onClick={() => resolving.mutate()}>
            Resolve
          </Button>
          {alert.state === "open" && (
            <Button loading={acknowledging.isPending} onClick={() => acknowledging.mutate()}>
              Acknowledge
            </Button>
          )}
        </div>
      </div>
    </Card>
  );
}
