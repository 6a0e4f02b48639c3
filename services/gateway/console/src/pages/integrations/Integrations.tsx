import { SegmentedControl, Table } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Cable, Plus } from "lucide-react";
import type { IntegrationView } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered, Empty } from "@/ui/Feedback";
import { short } from "@/ui/format";
import { PageButton, PageLink } from "@/ui/links";
import { Card, Page } from "@/ui/Page";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { addressOfBroker } from "./form";
import css from "./Integrations.module.css";
import { LinkState } from "./LinkState";
import { integrationsQuery, statusQuery } from "./queries";

/** Where messages come from: the hosted broker, and brokers of the organization's own. */
export function Integrations() {
  const manages = useSession().can("manage_integrations");
  const query = useQuery(integrationsQuery);
  const { show = "all" } = useSearch({ from: "/signed/integrations" });
  const navigate = useNavigate({ from: "/integrations" });
  const rows = query.data?.filter((each) => show === "all" || each.broker_type === show) ?? [];
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
                {rows.map((row) => (
                  <Row key={row.id} row={row} />
                ))}
              </Table.Tbody>
            </Table>
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

function Row({ row }: { row: IntegrationView }) {
  const external = row.broker_type === "external";
  const status = useQuery({ ...statusQuery(row.id), enabled: external });
  return (
    <Table.Tr>
      <Table.Td>
        <PageLink to="/integrations/$id" params={{ id: row.id }} fw={550} className="break">
          {row.name}
        </PageLink>
        <div className={css.address}>{external ? addressOfBroker(row) : "runs with the platform"}</div>
      </Table.Td>
      <Table.Td>
        {external ? <LinkState status={status.data} /> : <Status tone="good">Running</Status>}
      </Table.Td>
      <Table.Td className={css.broad}>
        {external ? `${short(status.data?.rate_in_per_s ?? 0)} a second` : ""}
      </Table.Td>
      <Table.Td className={css.broad}>
        {external ? <Time at={status.data?.last_message_at} as="ago" /> : ""}
      </Table.Td>
      <Table.Td className={css.broad}>{row.decoder?.name ?? "standard"}</Table.Td>
    </Table.Tr>
  );
}
