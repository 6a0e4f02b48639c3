import { Button, Textarea, Timeline } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useState } from "react";
import { api, ok } from "@/api/client";
import type { Alert as WholeAlert } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered } from "@/ui/Feedback";
import css from "@/ui/List.module.css";
import { Card, Facts, Page } from "@/ui/Page";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { done } from "@/ui/toasts";

const STATES = { open: "bad", acknowledged: "warn", resolved: "good" } as const;

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
          <Card title="What is known">
            <Facts rows={facts(alert)} />
          </Card>
          {manages && alert.state !== "resolved" && <Answer alert={alert} />}
          <Card title="What happened">
            <Timeline bulletSize={14} lineWidth={2} active={alert.history?.length}>
              {alert.history?.map((step) => (
                <Timeline.Item key={`${step.at} ${step.event}`} title={step.summary}>
                  <div className={css.under}>
                    <Time at={step.at} /> · {step.actor}
                    {step.reason && ` · ${step.reason.replaceAll("_", " ")}`}
                  </div>
                  {step.note && <p>{step.note}</p>}
                </Timeline.Item>
              ))}
            </Timeline>
          </Card>
        </>
      )}
    </Page>
  );
}

function facts(alert: WholeAlert): [string, React.ReactNode][] {
  const evidence = Object.entries(alert.evidence ?? {}).map(([name, value]): [string, React.ReactNode] => [
    name.replaceAll("_", " "),
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  return [
    ["Severity", alert.severity],
    ["Device", alert.device_id ?? "none"],
    ["Integration", alert.integration_id ?? "none"],
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
