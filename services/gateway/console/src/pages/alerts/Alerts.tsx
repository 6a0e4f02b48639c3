import { Button, Table, Tabs } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { BellOff, Plus } from "lucide-react";
import { useState } from "react";
import { api, ok } from "@/api/client";
import type { AlertRow } from "@/api/schema";
import { useSession } from "@/api/session";
import { Answered, Empty } from "@/ui/Feedback";
import { More, useList } from "@/ui/List";
import css from "@/ui/List.module.css";
import { PageLink } from "@/ui/links";
import { Card, Page } from "@/ui/Page";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { NewRule } from "./NewRule";
import { Rules } from "./Rules";
import { TONES } from "./words";

const TABS = ["open", "all", "rules"] as const;
export type AlertsTab = (typeof TABS)[number];

export function Alerts() {
  const session = useSession();
  const manages = session.can("manage_alerts");
  const search = useSearch({ from: "/signed/alerts" });
  const navigate = useNavigate({ from: "/alerts" });
  const [making, setMaking] = useState(false);
  const tab: AlertsTab = search.tab ?? "open";
  const create = manages && (
    <Button leftSection={<Plus size={16} />} onClick={() => setMaking(true)}>
      New rule
    </Button>
  );
  return (
    <Page
      title="Alerts"
      about="What is wrong now, what was, and the rules that say so. Rules are judged as messages come."
      actions={create}
    >
      <Tabs
        value={tab}
        keepMounted={false}
        onChange={(next) =>
          void navigate({ search: { tab: next === "open" ? undefined : (next as AlertsTab) }, replace: true })
        }
      >
        <Tabs.List>
          <Tabs.Tab value="open">Open</Tabs.Tab>
          <Tabs.Tab value="all">All</Tabs.Tab>
          <Tabs.Tab value="rules">Rules</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="open" pt="md">
          <AlertsCard open />
        </Tabs.Panel>
        <Tabs.Panel value="all" pt="md">
          <AlertsCard />
        </Tabs.Panel>
        <Tabs.Panel value="rules" pt="md">
          <Rules manages={manages} create={create} />
        </Tabs.Panel>
      </Tabs>
      {manages && <NewRule opened={making} onClose={() => setMaking(false)} />}
    </Page>
  );
}

function AlertsCard({ open }: { open?: boolean }) {
  const list = useList({
    key: ["alerts", open ? "open" : "all"],
    page: (cursor) => ok(api.GET("/v1/alerts", { params: { query: { limit: 100, cursor } } })),
    everyMs: 5000,
  });
  const rows = (list.data ?? []).filter((row) => !open || row.state !== "resolved");
  return (
    <Card flush label={open ? "Open alerts" : "All alerts"}>
      <Answered query={list}>
        {rows.length === 0 ? (
          <Empty icon={BellOff} title={open ? "Nothing is wrong" : "No alert yet"}>
            {open
              ? "An alert stands here from when its rule is broken until it is resolved."
              : "A rule for links that go down is there from the beginning; add others under Rules."}
          </Empty>
        ) : (
          <AlertsTable rows={rows} />
        )}
        <More list={list} />
      </Answered>
    </Card>
  );
}

const STATES = { open: "bad", acknowledged: "warn", resolved: "good" } as const;

function AlertsTable({ rows }: { rows: AlertRow[] }) {
  return (
    <Table highlightOnHover className={css.table}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>What</Table.Th>
          <Table.Th>State</Table.Th>
          <Table.Th className={css.wide}>Severity</Table.Th>
          <Table.Th className={css.wide}>Of</Table.Th>
          <Table.Th>Since</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {rows.map((row) => (
          <Table.Tr key={row.id}>
            <Table.Td>
              <PageLink to="/alerts/$id" params={{ id: row.id }} fw={550} className="break">
                {row.rule_name}
              </PageLink>
              <div className={css.under}>{row.summary}</div>
            </Table.Td>
            <Table.Td>
              <Status tone={STATES[row.state]} pulse={row.state === "open"}>
                {row.state}
              </Status>
            </Table.Td>
            <Table.Td className={css.wide}>
              <Status tone={TONES[row.severity]}>{row.severity}</Status>
            </Table.Td>
            <Table.Td className={css.wide}>
              <span className="break">{row.device_id ?? row.integration_id ?? "the organization"}</span>
            </Table.Td>
            <Table.Td className={css.tight}>
              <Time at={row.since} as="ago" />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
