import { Button, Select, Tabs } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Eraser, Pause, Play, Radio } from "lucide-react";
import { type ReactNode, useEffect, useMemo, useState } from "react";
import { api, ok } from "@/api/client";
import { useSession } from "@/api/session";
import { type Gap, type StreamState, useLiveStream } from "@/api/stream";
import { Empty, ProblemAlert } from "@/ui/Feedback";
import { count } from "@/ui/format";
import { PageButton } from "@/ui/links";
import { Card, Page } from "@/ui/Page";
import { SettlingInput } from "@/ui/SettlingInput";
import { Status } from "@/ui/Status";
import { Tip } from "@/ui/Tip";
import { failed } from "@/ui/toasts";
import css from "./Live.module.css";
import { MessageList } from "./MessageList";
import { isMessage, type LiveMessage } from "./message";
import { TopicList } from "./TopicList";
import { CAPS, Tail, usePaused, useShown } from "./tail";

const BEFORE = 50; // messages of before, so that a quiet organization's page is not empty

/** Messages as they come, and the topics that they come on. */
export function Live() {
  const { topic, device, tab } = useSearch({ from: "/signed/live" });
  const navigate = useNavigate({ from: "/live" });
  const [cap, setCap] = useState<number>(CAPS[1]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: with another filter it begins anew
  const tail = useMemo(() => new Tail(), [topic, device]);
  tail.cap = cap;
  const [gap, setGap] = useState<Gap | null>(null);
  const address = useAddress(tail, topic, device);
  const state = useLiveStream(address, (event) => {
    if (isMessage(event)) tail.add(event.data as LiveMessage);
    else if (event.event === "gap") setGap(event.data as Gap);
  });
  const show = (change: { topic?: string; device?: string; tab?: string }) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  return (
    <Page
      title="Live messages"
      beside={<StreamStatus state={state} tail={tail} />}
      about="Every message of your devices and brokers as it comes, before anything is made of it."
    >
      {state.is === "waiting" && <ProblemAlert error={state.problem} />}
      {gap && (
        <p className={css.gap} role="status">
          {gap.reason === "trimmed"
            ? "Some messages are missing here: they were gone from the log before this page could read them."
            : "The log was made anew: what came before is not in it."}
        </p>
      )}
      <Card flush label="Messages">
        <div className={css.tools}>
          <SettlingInput
            label="Topic filter"
            placeholder="devices/+/telemetry"
            className={css.filter}
            spellCheck={false}
            value={topic}
            settle={(value) => show({ topic: value })}
          />
          <SettlingInput
            label="Device"
            placeholder="Any"
            className={css.filter}
            spellCheck={false}
            value={device}
            settle={(value) => show({ device: value })}
          />
          <Select
            label="List at most"
            className={css.cap}
            data={CAPS.map((each) => ({ value: String(each), label: each ? `${each} / s` : "All" }))}
            value={String(cap)}
            onChange={(value) => setCap(Number(value))}
          />
          <div className={css.buttons}>
            <PauseButton tail={tail} />
            <Button variant="default" leftSection={<Eraser size={16} />} onClick={() => tail.clear()}>
              Clear
            </Button>
          </div>
        </div>
        <Tabs
          value={tab ?? "messages"}
          onChange={(value) => show({ tab: value === "messages" ? undefined : (value ?? undefined) })}
          keepMounted={false}
        >
          <div className={css.bar}>
            <Tabs.List className={css.tabs}>
              <Tabs.Tab value="messages">Messages</Tabs.Tab>
              <Tabs.Tab value="topics">Topics</Tabs.Tab>
            </Tabs.List>
            <Counts tail={tail} />
          </div>
          <Tabs.Panel value="messages">
            <Messages tail={tail} empty={<Nothing filtered={Boolean(topic || device)} />} />
          </Tabs.Panel>
          <Tabs.Panel value="topics">
            <TopicList tail={tail} only={(path) => show({ topic: path, tab: undefined })} />
          </Tabs.Panel>
        </Tabs>
      </Card>
    </Page>
  );
}

/** The stream's address once what came before is listed: from there on nothing is missing. */
function useAddress(tail: Tail, topic: string | undefined, device: string | undefined): string | null {
  const [ready, setReady] = useState<{ tail: Tail; after: number | null } | null>(null);
  useEffect(() => {
    let gone = false;
    const query = { limit: BEFORE, device_id: device };
    const asked = topic ? Promise.resolve({ items: [] }) : ok(api.GET("/v1/messages", { params: { query } }));
    asked
      .then(({ items }) => {
        if (gone) return;
        tail.before(items as LiveMessage[]);
        setReady({ tail, after: (items[0] as LiveMessage | undefined)?.sequence ?? null });
      })
      .catch((error) => {
        if (gone) return;
        failed(error); // the stream may well be there
        setReady({ tail, after: null });
      });
    return () => {
      gone = true;
    };
  }, [tail, topic, device]);
  if (ready?.tail !== tail) return null;
  const query = new URLSearchParams();
  if (topic) query.set("topic", topic);
  if (device) query.set("device_id", device);
  if (ready.after !== null) query.set("last_event_id", String(ready.after));
  return `/v1/stream?${query}`;
}

function Messages({ tail, empty }: { tail: Tail; empty: ReactNode }) {
  const { messages, listed } = useShown(tail);
  return <MessageList messages={messages} listed={listed} empty={empty} />;
}

function PauseButton({ tail }: { tail: Tail }) {
  const paused = usePaused(tail);
  return (
    <Button
      variant={paused ? "filled" : "default"}
      leftSection={paused ? <Play size={16} /> : <Pause size={16} />}
      onClick={() => tail.pause(!paused)}
    >
      {paused ? "Resume" : "Pause"}
    </Button>
  );
}

function StreamStatus({ state, tail }: { state: StreamState; tail: Tail }) {
  const paused = usePaused(tail);
  if (state.is === "live" && paused) return <Status tone="warn">Paused</Status>;
  if (state.is === "live")
    return (
      <Status tone="good" pulse>
        Live
      </Status>
    );
  if (state.is === "connecting") return <Status tone="idle">Connecting</Status>;
  if (state.is === "asleep") return <Status tone="idle">Asleep</Status>;
  return <Status tone="bad">Not connected</Status>;
}

function Counts({ tail }: { tail: Tail }) {
  const shown = useShown(tail);
  return (
    <p className={css.counts}>
      <span>
        <strong>{count(shown.perSecond)}</strong> a second
      </span>
      <span>
        <strong>{count(shown.total)}</strong> came
      </span>
      {shown.waiting > 0 && (
        <span>
          <strong>{count(shown.waiting)}</strong> while paused
        </span>
      )}
      {shown.hidden > 0 && (
        <Tip at="end" label="More than the list takes, or they came while it stood. The topics count them.">
          <span className={css.hidden}>
            <strong>{count(shown.hidden)}</strong> not listed
          </span>
        </Tip>
      )}
    </p>
  );
}

function Nothing({ filtered }: { filtered: boolean }) {
  const session = useSession();
  return (
    <Empty
      icon={Radio}
      title={filtered ? "Nothing that fits has come yet" : "No messages yet"}
      action={
        !filtered &&
        session.can("manage_credentials") && (
          <PageButton to="/credentials" search={{ new: true }}>
            Create a credential
          </PageButton>
        )
      }
    >
      {filtered
        ? "The list fills as soon as a message matches. In a topic filter, + stands for one level and # for all that follow."
        : "Connect a device: its first message appears here within a moment."}
    </Empty>
  );
}
