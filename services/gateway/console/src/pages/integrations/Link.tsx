import { Anchor } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import type { IntegrationView, LinkStatus } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered } from "@/ui/Feedback";
import { bytes, count, duration, short } from "@/ui/format";
import { Card, Columns, Facts } from "@/ui/Page";
import { Sparkline } from "@/ui/Sparkline";
import { Time } from "@/ui/Time";
import { ConnectionTest } from "./ConnectionTest";
import { FieldWords } from "./FieldWords";
import type { Protocol } from "./form";
import css from "./Integrations.module.css";
import { statusQuery } from "./queries";

const MINUTES = 60;

/** How the link is doing now, and how it did in the last hour. */
export function Link({ integration }: { integration: IntegrationView }) {
  const query = useQuery(statusQuery(integration.id));
  const manages = useSession().can("manage_integrations");
  const status = query.data;
  if (!status) {
    return (
      <Card flush label="Status">
        <Answered query={query}>{null}</Answered>
      </Card>
    );
  }
  return (
    <div className={css.stack}>
      {status.reason && <Trouble status={status} />}
      {integration.warnings?.map((warning) => (
        <Warning key={JSON.stringify(warning)} warning={warning as Record<string, unknown>} />
      ))}
      <Columns min={340}>
        <Card title={`In: ${short(status.rate_in_per_s ?? 0)} messages a second`}>
          <Sparkline values={minutes(status, (minute) => minute.messages_in)} places={MINUTES} />
          <p className={css.address}>Each minute of the last hour</p>
          <Facts
            rows={[
              ["Messages", `${count(status.messages_in ?? 0)} (${bytes(status.bytes_in ?? 0)})`],
              ["Last one", <Time key="l" at={status.last_message_at} as="ago" />],
              ["Sent out", count(status.messages_out ?? 0)],
              [
                "Expected every",
                status.expected_interval_s
                  ? `${duration(status.expected_interval_s)} (${status.expected_interval_from})`
                  : "not known yet",
              ],
            ]}
          />
        </Card>
        <Card title="Connection">
          <Facts
            rows={[
              ["Connected", <Time key="c" at={status.connected_since} none="no" />],
              ["State since", <Time key="s" at={status.since} as="ago" />],
              ["Came back", `${count(status.reconnects ?? 0)} times`],
              ["Doubled by the broker", count(status.duplicates ?? 0)],
              [
                "Dropped by the broker",
                status.dropped_by_broker == null ? "it does not tell" : count(status.dropped_by_broker),
              ],
              ["On their way to the log", count(status.in_flight ?? 0)],
              ["Held by", status.owner ?? "nobody at the moment"],
            ]}
          />
        </Card>
      </Columns>
      {(status.last_errors?.length ?? 0) > 0 && (
        <Card title="Last errors">
          <Facts
            rows={(status.last_errors ?? []).toReversed().map((error) => [
              `${new Date(error.at).toLocaleTimeString()}`,
              <span key={error.at}>
                {error.detail} <span className="mono">{error.code}</span>
                {error.times > 1 && ` (${error.times} times)`}
              </span>,
            ])}
          />
        </Card>
      )}
      {manages && (
        <Card title="Test it, step by step">
          <ConnectionTest
            address={`/v1/integrations/${integration.id}/test`}
            body={() => ({})}
            protocol={(integration.settings as { protocol: Protocol }).protocol}
          />
        </Card>
      )}
    </div>
  );
}

/** Why it is not well, what to do about it, and when it tries again. */
function Trouble({ status }: { status: LinkStatus }) {
  return (
    <div className={css.trouble} role="alert">
      <div>
        {status.detail || status.reason}{" "}
        <Anchor href={`/problems/${status.reason}`} target="_blank" inherit c="inherit" underline="always">
          {status.reason}
        </Anchor>
      </div>
      {status.next_action && (
        <div>
          <strong>What to do:</strong> <FieldWords text={status.next_action} />
        </div>
      )}
      {status.next_try_at && (
        <div>
          Next try: <Time at={status.next_try_at} as="ago" />
        </div>
      )}
    </div>
  );
}

function Warning({ warning }: { warning: Record<string, unknown> }) {
  return <p className={css.warning}>{String(warning.detail ?? warning.message ?? warning.code ?? "")}</p>;
}

/** The last hour, minute by minute: those in which nothing was are not in the answer. */
function minutes(
  status: LinkStatus,
  value: (minute: NonNullable<LinkStatus["minutes"]>[number]) => number,
): number[] {
  const known = new Map(
    status.minutes?.map((minute) => [Math.floor(Date.parse(minute.at) / 60_000), value(minute)]),
  );
  const now = Math.floor(Date.now() / 60_000);
  return Array.from({ length: MINUTES }, (_, index) => known.get(now - MINUTES + 1 + index) ?? 0);
}

export const activityOf = (id: string) => ({
  queryKey: ["activity", { integration_id: id }],
  queryFn: () => ok(api.GET("/v1/activity", { params: { query: { integration_id: id, limit: 100 } } })),
  refetchInterval: 4000,
});
