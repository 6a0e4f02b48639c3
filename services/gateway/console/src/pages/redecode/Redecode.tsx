import { Button, Progress, Table } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { History } from "lucide-react";
import { api, ok } from "@/api/client";
import type { Redecode as Job } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered, Empty } from "@/ui/Feedback";
import { count, duration, short } from "@/ui/format";
import { Card, Page } from "@/ui/Page";
import { Status, type Tone } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { useIntegrationNames } from "../integrations/queries";
import { NewRedecode } from "./NewRedecode";
import css from "./Redecode.module.css";

const SHOWN: Record<Job["state"], [Tone, string]> = {
  ordered: ["idle", "Ordered"],
  running: ["warn", "Running"],
  paused: ["idle", "Paused"],
  settling: ["warn", "Finishing"],
  cancelling: ["warn", "Cancelling"],
  done: ["good", "Done"],
  cancelled: ["idle", "Cancelled"],
  failed: ["bad", "Failed"],
};
const UNDER_WAY = new Set<Job["state"]>(["ordered", "running", "settling", "cancelling"]);

/** History, read again with another decoder: first what would change, then the change itself. */
export function Redecode() {
  const manages = useSession().can("manage_integrations");
  const query = useQuery({
    queryKey: ["redecode"],
    queryFn: () => ok(api.GET("/v1/redecode", { params: { query: { limit: 50 } } })),
    refetchInterval: ({ state }) =>
      state.data?.items.some((job) => UNDER_WAY.has(job.state)) ? 1000 : 10_000,
  });
  const jobs = query.data?.items ?? [];
  return (
    <Page
      title="Redecode"
      about="Messages are kept as they came. Read those of the past again with another decoder: their readings are replaced, batch by batch, while new messages go on."
    >
      {manages && (
        <NewRedecode busy={jobs.some((job) => UNDER_WAY.has(job.state) || job.state === "paused")} />
      )}
      <Card title="Jobs" flush>
        <Answered query={query} rows={3}>
          {jobs.length === 0 ? (
            <Empty icon={History} title="Nothing was decoded again yet">
              {manages
                ? "Choose a span of time and a decoder above."
                : "A key with the scope manage_integrations can order it."}
            </Empty>
          ) : (
            <Table className={css.table}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>What</Table.Th>
                  <Table.Th>State</Table.Th>
                  <Table.Th className={css.broad}>Readings</Table.Th>
                  <Table.Th className={css.broad}>Ordered</Table.Th>
                  {manages && <Table.Th aria-label="Actions" />}
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {jobs.map((job) => (
                  <Row key={job.id} job={job} manages={manages} />
                ))}
              </Table.Tbody>
            </Table>
          )}
        </Answered>
      </Card>
    </Page>
  );
}

function Row({ job, manages }: { job: Job; manages: boolean }) {
  const [tone, words] = SHOWN[job.state];
  const named = useIntegrationNames();
  const going = UNDER_WAY.has(job.state) || job.state === "paused";
  return (
    <Table.Tr>
      <Table.Td>
        {named(job.integration_id)} with {job.decoder.name}
        <div className={css.dim}>
          <Time at={job.start} /> to <Time at={job.end} />
        </div>
        {job.state === "cancelled" && (
          <div className={css.dim}>What was decoded until then stays so; the rest is as it was.</div>
        )}
        {job.error && <div className={css.bad}>{job.error}</div>}
      </Table.Td>
      <Table.Td className={css.state}>
        <Status tone={tone} pulse={job.state === "running"}>
          {words}
        </Status>
        {going && (
          <>
            <Progress value={(job.progress ?? 0) * 100} aria-label="Progress" mt={8} size="sm" />
            <div className={css.dim}>
              {Math.round((job.progress ?? 0) * 100)} %
              {job.messages_per_s ? `, ${short(job.messages_per_s)} messages a second` : ""}
              {job.left_s ? `, ${duration(job.left_s)} left` : ""}
            </div>
          </>
        )}
      </Table.Td>
      <Table.Td className={css.broad}>
        {count(job.messages ?? 0)} messages
        <div className={css.dim}>
          +{count(job.added ?? 0)} −{count(job.removed ?? 0)} ~{count(job.changed ?? 0)}
          {job.failed ? `, ${count(job.failed)} dead letters` : ""}
        </div>
      </Table.Td>
      <Table.Td className={css.broad}>
        <Time at={job.ordered_at} as="ago" />
      </Table.Td>
      {manages && (
        <Table.Td>
          <Actions job={job} />
        </Table.Td>
      )}
    </Table.Tr>
  );
}

type Act = "pause" | "resume" | "cancel";

function Actions({ job }: { job: Job }) {
  const client = useQueryClient();
  const acting = useMutation({
    mutationFn: (act: Act) => ok(api.POST(`/v1/redecode/{id}/${act}`, { params: { path: { id: job.id } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: ["redecode"] }),
  });
  const button = (act: Act, words: string) => (
    <Button
      size="compact-sm"
      variant="subtle"
      loading={acting.isPending && acting.variables === act}
      onClick={() => acting.mutate(act)}
    >
      {words}
    </Button>
  );
  if (job.state === "running" || job.state === "ordered") {
    return (
      <>
        {button("pause", "Pause")} {button("cancel", "Cancel")}
      </>
    );
  }
  if (job.state === "paused") {
    return (
      <>
        {button("resume", "Resume")} {button("cancel", "Cancel")}
      </>
    );
  }
  return null;
}
