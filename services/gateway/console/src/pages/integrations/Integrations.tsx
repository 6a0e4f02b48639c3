import { Button, SegmentedControl, Table } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Cable, Plus } from "lucide-react";
import { type ReactNode, useState } from "react";
import type { IntegrationView } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered, Empty } from "@/ui/Feedback";
import { count, short } from "@/ui/format";
import { PageButton, PageLink } from "@/ui/links";
import { Card, Page } from "@/ui/Page";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { addressOfBroker } from "./form";
import css from "./Integrations.module.css";
import { LinkState } from "./LinkState";
import { type HostedRate, hostedRateQuery, integrationsQuery, statusQuery } from "./queries";

/** Each that is shown asks how its link is doing. */
const AT_ONCE = 25;

/** Where messages come from: the hosted broker, and brokers of the organization's own. */
export function Integrations() {
  const { can } = useSession();
  const manages = can("manage_integrations");
  const query = useQuery(integrationsQuery);
  const { show = "all" } = useSearch({ from: "/signed/integrations" });
  const navigate = useNavigate({ from: "/integrations" });
  const found = query.data?.filter((each) => show === "all" || each.broker_type === show) ?? [];
  const [most, setMost] = useState(AT_ONCE);
  const rows = found.slice(0, most);
  const hosted = useQuery({ ...hostedRateQuery, enabled: show !== "external" && can("read") });
  const create = manages && (
    <PageButton to="/integrations/new" leftSection={<Plus size={16} />}>
      Connect a broker
    </PageButton>
  );
  return (
    <Page
      title="Integrations"
      about="Where messages come from: the hosted broker, and brokers that you run already."
      actions={create}
    >
      <SegmentedControl
        aria-label="Which brokers"
        className={css.start}
        value={show}
        onChange={(next) =>
          void navigate({ search: { show: next === "all" ? undefined : next }, replace: true })
        }
        data={[
          { value: "all", label: "All" },
          { value: "hosted", label: "Hosted" },
          { value: "external", label: "External" },
        ]}
      />
      <Card flush label="Integrations">
        <Answered query={query}>
          {rows.length > 0 && (
            <Table highlightOnHover className={css.table}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Name</Table.Th>
                  <Table.Th>State</Table.Th>
                  <Table.Th className={css.broad}>Messages</Table.Th>
                  <Table.Th className={css.broad}>Last message</Table.Th>
                  <Table.Th className={css.broad}>Decoder</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {rows.map((row) =>
                  row.broker_type === "hosted" ? (
                    <HostedRow key={row.id} row={row} rate={hosted.data} />
                  ) : (
                    <LinkRow key={row.id} row={row} />
                  ),
                )}
              </Table.Tbody>
            </Table>
          )}
          {found.length > rows.length && (
            <div className={css.further}>
              <Button variant="default" size="xs" onClick={() => setMost(most + AT_ONCE)}>
                {`Show more of ${count(found.length)}`}
              </Button>
            </div>
          )}
          {show === "external" && rows.length === 0 && (
            <Empty icon={Cable} title="No external broker yet" action={create}>
              Connect Mosquitto, HiveMQ, EMQX, AWS IoT Core or Azure IoT Hub: its messages are then stored,
              decoded and shown here like any other.
            </Empty>
          )}
        </Answered>
      </Card>
    </Page>
  );
}

interface RowProps {
  row: IntegrationView;
  about: string;
  state: ReactNode;
  rate: string;
  last: ReactNode;
}

function Row({ row, about, state, rate, last }: RowProps) {
  return (
    <Table.Tr>
      <Table.Td>
        <PageLink to="/integrations/$id" params={{ id: row.id }} fw={550} className="break">
          {row.name}
        </PageLink>
        <div className={css.address}>{about}</div>
      </Table.Td>
      <Table.Td>{state}</Table.Td>
      <Table.Td className={css.broad}>{rate}</Table.Td>
      <Table.Td className={css.broad}>{last}</Table.Td>
      <Table.Td className={css.broad}>{row.decoder?.name ?? "standard"}</Table.Td>
    </Table.Tr>
  );
}

function HostedRow({ row, rate }: { row: IntegrationView; rate: HostedRate | undefined }) {
  return (
    <Row
      row={row}
      about="Runs with the platform"
      state={<Status tone="good">Running</Status>}
      rate={rate ? `${short(rate.per_s)} a second` : ""}
      last={rate?.last_at && <Time at={rate.last_at} as="ago" />}
    />
  );
}

function LinkRow({ row }: { row: IntegrationView }) {
  const { data: status } = useQuery({ ...statusQuery(row.id), refetchInterval: 5000 });
  return (
    <Row
      row={row}
      about={addressOfBroker(row)}
      state={
        <>
          <LinkState status={status} />
          {status?.reason && <div className={css.address}>{status.detail || status.reason}</div>}
        </>
      }
      rate={status ? `${short(status.rate_in_per_s ?? 0)} a second` : ""}
      last={<Time at={status?.last_message_at} as="ago" />}
    />
  );
}
