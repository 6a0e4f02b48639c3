import { Badge, Button, CloseButton, Select } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Cpu, Search } from "lucide-react";
import { useCallback, useMemo, useRef, useState } from "react";
import { useSession } from "@/api/session";
import { useLiveStream } from "@/api/stream";
import { Answered, Empty } from "@/ui/Feedback";
import { count } from "@/ui/format";
import { PageButton } from "@/ui/links";
import { Card, Page } from "@/ui/Page";
import { SettlingInput } from "@/ui/SettlingInput";
import { DeviceLines } from "./DeviceLines";
import css from "./Devices.module.css";
import { devicesQuery, type Wanted } from "./queries";

const USUAL = "-first_seen";
const SORTS = [
  { value: USUAL, label: "Newest first" },
  { value: "-last_seen", label: "Heard of last" },
  { value: "name", label: "By name" },
];
const SHOWN = [
  { value: "usual", label: "Not hidden" },
  { value: "all", label: "Hidden, too" },
  { value: "true", label: "Hidden only" },
];
const ONLINE = [
  { value: "any", label: "Any presence" },
  { value: "true", label: "Online" },
  { value: "false", label: "Offline" },
];

/** All devices, as many as there are. */
export function Devices() {
  const wanted: Wanted = useSearch({ from: "/signed/devices" });
  const navigate = useNavigate({ from: "/devices" });
  const query = useInfiniteQuery(devicesQuery(wanted));
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const show = useCallback(
    (change: Wanted) => void navigate({ search: (before) => ({ ...before, ...change }), replace: true }),
    [navigate],
  );
  const onTag = useCallback((tag: string) => show({ tag }), [show]);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const presence = usePresence();
  return (
    <Page title="Devices" about="Everything that has sent something, or that somebody has described.">
      <Card flush label="Devices">
        <div className={css.tools}>
          <SettlingInput
            aria-label="Search devices"
            placeholder="Search by id or name"
            leftSection={<Search size={16} />}
            className={css.search}
            value={wanted.q}
            settle={(q) => show({ q })}
          />
          <Select
            aria-label="Presence"
            className={css.choice}
            data={ONLINE}
            value={wanted.online ?? "any"}
            onChange={(value) => show({ online: value === "true" || value === "false" ? value : undefined })}
          />
          <Select
            aria-label="Order"
            className={css.choice}
            data={SORTS}
            value={wanted.sort ?? USUAL}
            onChange={(value) =>
              show({ sort: value === "name" || value === "-last_seen" ? value : undefined })
            }
          />
          <Select
            aria-label="Hidden devices"
            className={css.choice}
            data={SHOWN}
            value={wanted.hidden ?? "usual"}
            onChange={(value) => show({ hidden: value === "all" || value === "true" ? value : undefined })}
          />
          {wanted.tag && (
            <Badge
              variant="default"
              size="lg"
              tt="none"
              rightSection={
                <CloseButton
                  size="sm"
                  aria-label={`Without the tag ${wanted.tag}`}
                  onClick={() => show({ tag: undefined })}
                />
              }
            >
              {wanted.tag}
            </Badge>
          )}
          <span className={css.count}>{query.data && words(rows.length, hasNextPage)}</span>
        </div>
        <Answered query={query} rows={9}>
          {rows.length === 0 ? (
            <Nothing
              filtered={Boolean(wanted.q || wanted.online || wanted.tag || wanted.hidden === "true")}
              all={() => show({ q: undefined, online: undefined, tag: undefined, hidden: undefined })}
            />
          ) : (
            <DeviceLines rows={rows} presence={presence} onTag={onTag} more={more} />
          )}
        </Answered>
      </Card>
    </Page>
  );
}

const words = (n: number, more: boolean): string =>
  `${count(n)} ${n === 1 ? "device" : "devices"}${more ? " and more" : ""}`;

const HEARD_MAX = 20_000;
const EVERY_MS = 500;

/** What was said since the list was read, shown twice a second at most. */
function usePresence(): ReadonlyMap<string, boolean> {
  const session = useSession();
  const heard = useRef(new Map<string, boolean>());
  const [shown, setShown] = useState<ReadonlyMap<string, boolean>>(heard.current);
  const timer = useRef<number>(undefined);
  useLiveStream(session.can("read") ? "/v1/stream?kind=presence" : null, ({ event, data }) => {
    if (event !== "presence") return;
    const { device_id, online } = data as { device_id: string; online: boolean };
    if (heard.current.size > HEARD_MAX) heard.current.clear();
    heard.current.set(device_id, online);
    timer.current ??= window.setTimeout(() => {
      timer.current = undefined;
      setShown(new Map(heard.current));
    }, EVERY_MS);
  });
  return shown;
}

function Nothing({ filtered, all }: { filtered: boolean; all: () => void }) {
  const session = useSession();
  if (filtered) {
    return (
      <Empty
        icon={Search}
        title="No device fits"
        action={
          <Button variant="default" onClick={all}>
            Show all devices
          </Button>
        }
      >
        The search finds the beginning of an id or name, or of a part of them.
      </Empty>
    );
  }
  return (
    <Empty
      icon={Cpu}
      title="No devices yet"
      action={
        session.can("manage_credentials") && (
          <PageButton to="/credentials" search={{ new: true }}>
            Create a credential
          </PageButton>
        )
      }
    >
      A device appears here with its first message. All that it needs is a credential.
    </Empty>
  );
}
