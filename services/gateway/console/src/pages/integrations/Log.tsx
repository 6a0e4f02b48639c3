import { Table } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { ScrollText } from "lucide-react";
import type { IntegrationView } from "@/api/schema";
import { Answered, Empty } from "@/ui/Feedback";
import { kindWords } from "@/ui/kinds";
import { Card } from "@/ui/Page";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { activityOf } from "./Link";

/** What happened to the integration and to its link. */
export function Log({ integration }: { integration: IntegrationView }) {
  const query = useQuery(activityOf(integration.id));
  const rows = query.data?.items ?? [];
  return (
    <Card flush label="Log">
      <Answered query={query}>
        {rows.length === 0 ? (
          <Empty icon={ScrollText} title="Nothing happened yet">
            Connects, losses, refusals and changes of the settings are shown here.
          </Empty>
        ) : (
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>When</Table.Th>
                <Table.Th>What</Table.Th>
                <Table.Th>How it went</Table.Th>
                <Table.Th>By</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {rows.map((row) => (
                <Table.Tr key={row.id}>
                  <Table.Td>
                    <Time at={row.time} />
                  </Table.Td>
                  <Table.Td>
                    {kindWords(row.kind)}
                    {row.summary && <div className="break">{row.summary}</div>}
                  </Table.Td>
                  <Table.Td>
                    <Status tone={row.status === "ok" ? "good" : "bad"}>
                      {row.status === "ok" ? "Well" : (row.reason ?? "Failed")}
                    </Status>
                  </Table.Td>
                  <Table.Td className="mono break">{row.actor}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
      </Answered>
    </Card>
  );
}
