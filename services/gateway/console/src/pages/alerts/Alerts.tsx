import { Button, Tabs } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useSession } from "@/api/session";
import { Page } from "@/ui/Page";
import { AlertsCard } from "./AlertsCard";
import { Rules } from "./Rules";
import type { Severity } from "./words";

export interface AlertsSearch {
  tab?: "all" | "rules";
  severity?: Severity;
  device?: string;
  /** A rule whose alerts are shown. */
  of?: string;
  /** A rule that is changed, or `new`. */
  rule?: string;
}

export function Alerts() {
  const manages = useSession().can("manage_alerts");
  const search = useSearch({ from: "/signed/alerts" });
  const navigate = useNavigate({ from: "/alerts" });
  const set = (change: AlertsSearch) =>
    void navigate({ search: (held) => ({ ...held, ...change }), replace: true });
  const create = manages && (
    <Button leftSection={<Plus size={16} />} onClick={() => set({ tab: "rules", rule: "new" })}>
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
        value={search.tab ?? "open"}
        keepMounted={false}
        onChange={(tab) => set({ tab: tab === "open" ? undefined : (tab as AlertsSearch["tab"]) })}
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
    </Page>
  );
}
