import { Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { asProblem } from "@/api/problem";
import type { DeviceDetail } from "@/api/schema";
import { useSession } from "@/api/session";
import { ProblemAlert, SkeletonRows } from "@/ui/Feedback";
import { FormPanel } from "@/ui/FormPanel";
import { count } from "@/ui/format";
import { PageLink } from "@/ui/links";
import { Card, Facts, Page } from "@/ui/Page";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { Actions } from "./Actions";
import { Commands } from "./Commands";
import css from "./Device.module.css";
import { Erased } from "./Erased";
import { Messages } from "./Messages";
import { Presence } from "./Presence";
import { deviceQuery, useErasure } from "./queries";
import { Readings } from "./Readings";
import { useLatest } from "./useLatest";

/** One device: what it said last, its numbers over time, its messages, what it was told to do. */
export function Device() {
  const { id } = useParams({ from: "/signed/devices/$id" });
  const { tab } = useSearch({ from: "/signed/devices/$id" });
  const navigate = useNavigate({ from: "/devices/$id" });
  const query = useQuery(deviceQuery(id));
  useLatest(id);
  const manages = useSession().can("manage_integrations");
  const isMissing = query.error !== null && asProblem(query.error).status === 404;
  const erasure = useErasure(id, isMissing);
  const found = query.data;
  const gone =
    isMissing || (found && erasure.data && Date.parse(erasure.data.forgotten_at) >= heardAt(found));
  const device = gone ? undefined : found;
  return (
    <Page
      title={device?.name ?? id}
      back={{ to: "/devices", label: "Devices" }}
      beside={device && <Presence online={device.online} />}
      about={device && <About device={device} />}
      actions={device && manages && <Actions device={device} />}
    >
      {query.isPending && <SkeletonRows />}
      {gone && erasure.data && <Erased erasure={erasure.data} />}
      {gone && erasure.isLoading && <SkeletonRows />}
      {!device && query.error && !erasure.isLoading && !erasure.data && (
        <ProblemAlert error={query.error} retry={() => void query.refetch()} />
      )}
      {device && (
        <Tabs
          value={tab ?? "readings"}
          keepMounted={false}
          onChange={(value) =>
            void navigate({
              search: (before) => ({
                ...before,
                tab: value === "readings" ? undefined : (value ?? undefined),
              }),
              replace: true,
            })
          }
        >
          <Tabs.List>
            <Tabs.Tab value="readings">Readings</Tabs.Tab>
            <Tabs.Tab value="messages">Messages</Tabs.Tab>
            <Tabs.Tab value="commands">Commands</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="readings" className={css.panel}>
            <Readings id={id} latest={device.latest} />
            <Metadata device={device} />
          </Tabs.Panel>
          <Tabs.Panel value="messages" className={css.panel}>
            <Messages id={id} />
          </Tabs.Panel>
          <FormPanel value="commands" shown={tab} className={css.panel}>
            <Commands id={id} />
          </FormPanel>
        </Tabs>
      )}
    </Page>
  );
}

const heardAt = ({ last_seen }: DeviceDetail): number => (last_seen ? Date.parse(last_seen) : 0);

function About({ device }: { device: DeviceDetail }) {
  return (
    <span className={css.about}>
      {device.name && <span className="mono">{device.id}</span>}
      {device.online === true && device.online_since && (
        <span>
          came online <Time at={device.online_since} as="ago" />
        </span>
      )}
      {device.online === false && device.offline_since && (
        <span>
          went offline <Time at={device.offline_since} as="ago" />
        </span>
      )}
      <span>
        heard of <Time at={device.last_seen} as="ago" />
      </span>
      <span>
        {count(device.messages ?? 0)} {device.messages === 1 ? "message" : "messages"}
      </span>
      {device.hidden && <Status tone="idle">Hidden</Status>}
      {Boolean(device.tags?.length) && (
        <span className={css.tags}>
          {device.tags?.map((tag) => (
            <PageLink key={tag} to="/devices" search={{ tag }} className={css.tag}>
              {tag}
            </PageLink>
          ))}
        </span>
      )}
    </span>
  );
}

function Metadata({ device }: { device: DeviceDetail }) {
  const entries = Object.entries(device.metadata ?? {});
  if (!entries.length) return null;
  return (
    <Card title="Metadata">
      <Facts
        rows={entries.map(([name, value]) => [
          name,
          typeof value === "string" ? value : JSON.stringify(value),
        ])}
      />
    </Card>
  );
}
