import { Table } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import type { CredentialView } from "@/api/schema";
import { Answered } from "@/ui/Feedback";
import { kindWords } from "@/ui/kinds";
import { Card } from "@/ui/Page";
import { Time } from "@/ui/Time";

/** What happened to it, when, and by whom: the newest first. */
export function History({ credential }: { credential: CredentialView }) {
  const query = useQuery({
    queryKey: ["credentials", credential.id, "history"],
    queryFn: () =>
      ok(
        api.GET("/v1/credentials/{id}/history", {
          params: { path: { id: credential.id }, query: { limit: 1000 } },
        }),
      ),
  });
  const rows = query.data?.items.toReversed() ?? [];
  return (
    <Card flush label="History">
      <Answered query={query}>
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>When</Table.Th>
              <Table.Th>What</Table.Th>
              <Table.Th>By</Table.Th>
              <Table.Th>More</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map((row) => (
              <Table.Tr key={row.sequence}>
                <Table.Td>
                  <Time at={row.time} />
                </Table.Td>
                <Table.Td>{kindWords(row.type)}</Table.Td>
                <Table.Td className="mono break">{row.actor}</Table.Td>
                <Table.Td className="mono break">{detail(row.data)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Answered>
    </Card>
  );
}

function detail(data: Record<string, unknown>): string {
  return Object.entries(data)
    .filter(([, value]) => value !== null && value !== "" && !(Array.isArray(value) && value.length === 0))
    .map(([name, value]) => `${name}: ${Array.isArray(value) ? value.join(", ") : String(value)}`)
    .join(" · ");
}
