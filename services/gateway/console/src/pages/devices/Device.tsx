import { Badge, Tabs } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { MessageSquare } from "lucide-react";
import type { DeviceDetail } from "@/api/schema";
import { useSession } from "@/api/session";
import { useLiveStream } from "@/api/stream";
import { MessageList } from "@/pages/live/MessageList";
import type { Sample } from "@/pages/live/message";
import { Answered, Empty } from "@/ui/Feedback";
import { count } from "@/ui/format";
import { Card, Page } from "@/ui/Page";
import { Time } from "@/ui/Time";
import { Commands } from "./Commands";
import css from "./Device.module.css";
import { Presence } from "./Presence";
import { deviceQuery, messagesQuery } from "./queries";
import { Readings } from "./Readings";

/** One device: what it said last, its numbers over time, its messages, what it was told to do. */
export function Device() {
  const { id } = useParams({ from: "/signed/devices/$id" });
  const { tab } = useSearch({ from: "/signed/devices/$id" });
  const navigate = useNavigate({ from: "/devices/$id" });
  const query = useQuery(deviceQuery(id));
  useLatest(id);
  const device = query.data;
  return (
    <Page
      title={device?.name ?? id}
      back={{ to: "/devices", label: "Devices" }}
      beside={device && <Presence online={device.online} />}
      about={device && <About device={device} />}
    >
      <Answered query={query}>
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
            <Readings id={id} latest={device?.latest ?? {}} />
          </Tabs.Panel>
          <Tabs.Panel value="messages" className={css.panel}>
            <Messages id={id} />
          </Tabs.Panel>
          <Tabs.Panel value="commands" className={css.panel}>
            <Commands id={id} />
          </Tabs.Panel>
        </Tabs>
      </Answered>
    </Page>
  );
}

function About({ device }: { device: DeviceDetail }) {
  return (
    <span className={css.about}>
      {device.name && <span className="mono">{device.id}</span>}
      <span>
        heard of <Time at={device.last_seen} as="ago" />
      </span>
      <span>{count(device.messages ?? 0)} messages</span>
      {device.tags?.map((tag) => (
        <Badge key={tag} variant="default" size="sm" tt="none">
          {tag}
        </Badge>
      ))}
    </span>
  );
}

/** Values and presence as they come, between two askings. */
function useLatest(id: string): void {
  const client = useQueryClient();
  const session = useSession();
  const wanted = new URLSearchParams([
    ["kind", "readings"],
    ["kind", "presence"],
    ["device_id", id],
  ]);
  useLiveStream(session.can("read") ? `/v1/stream?${wanted}` : null, ({ event, data }) => {
    client.setQueryData(deviceQuery(id).queryKey, (before) => {
      if (!before) return before;
      if (event === "presence") return { ...before, online: (data as { online: boolean }).online };
      if (event !== "readings") return before;
      const { readings, received_at } = data as { readings: Sample[]; received_at: string };
      return { ...before, last_seen: received_at, latest: merged(before.latest, readings) };
    });
  });
}

function merged(before: DeviceDetail["latest"], samples: Sample[]): DeviceDetail["latest"] {
  const latest = { ...before };
  for (const { metrics, units, timestamp } of samples)
    for (const [metric, value] of Object.entries(metrics)) {
      const held = latest[metric];
      if (held && Date.parse(held.timestamp) > Date.parse(timestamp)) continue;
      latest[metric] = { value, unit: units[metric] ?? held?.unit ?? null, timestamp };
    }
  return latest;
}

function Messages({ id }: { id: string }) {
  const query = useQuery(messagesQuery(id));
  return (
    <Card flush label="Messages">
      <Answered query={query}>
        <MessageList
          messages={query.data ?? []}
          empty={
            <Empty icon={MessageSquare} title="No messages kept">
              Messages are kept for 30 days.
            </Empty>
          }
        />
      </Answered>
    </Card>
  );
}
