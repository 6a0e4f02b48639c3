import { useRouter, useSearch } from "@tanstack/react-router";
import { useCallback } from "react";
import type { DeviceRow } from "@/api/schema";
import { asSegment } from "@/api/segments";
import { short } from "@/ui/format";
import { Lines } from "@/ui/Lines";
import cell from "@/ui/Lines.module.css";
import { Time } from "@/ui/Time";
import css from "./Devices.module.css";
import { Presence } from "./Presence";

interface DeviceLinesProps {
  rows: DeviceRow[];
  /** What was said since the rows were read. */
  presence: ReadonlyMap<string, boolean>;
  onTag: (tag: string) => void;
  /** Asks for the next page. */
  more: () => void;
}

const TAGS_SHOWN = 3;

export function DeviceLines({ rows, presence, onTag, more }: DeviceLinesProps) {
  const router = useRouter();
  const { org } = useSearch({ strict: false });
  const query = org ? `?org=${encodeURIComponent(org)}` : "";
  const draw = useCallback(
    (row: DeviceRow, online: boolean | null | undefined) => (
      <Cells row={row} online={online} onTag={onTag} query={query} />
    ),
    [onTag, query],
  );
  return (
    <Lines
      label="Devices"
      rows={rows}
      keyOf={(row) => row.id}
      draw={draw}
      markOf={(row) => presence.get(row.id) ?? row.online}
      open={(id) => void router.navigate({ to: "/devices/$id", params: { id } })}
      head={HEAD}
      columns={css.columns}
      besideOfPhone={340}
      more={more}
    />
  );
}

const HEAD = (
  <>
    <span>Device</span>
    <span>Presence</span>
    <span className={cell.wide}>Tags</span>
    <span className={cell.wide}>Messages</span>
    <span>Heard of</span>
  </>
);

interface CellsProps {
  row: DeviceRow;
  online: boolean | null | undefined;
  onTag: (tag: string) => void;
  /** Of its address: for which organization the operator acts. */
  query: string;
}

function Cells({ row, online, onTag, query }: CellsProps) {
  const tags = row.tags ?? [];
  const below = [row.name && row.id, row.hidden && "hidden"].filter(Boolean).join(" · ");
  return (
    <>
      <span className={cell.name}>
        <a
          href={`/console/devices/${encodeURIComponent(asSegment(row.id))}${query}`}
          data-id={row.id}
          className={`${cell.link} ellipsis`}
        >
          {row.name ?? row.id}
        </a>
        {below && <span className={`${cell.dim} ellipsis`}>{below}</span>}
      </span>
      <span>
        <Presence online={online} />
      </span>
      <span className={`${css.tags} ${cell.wide}`}>
        {tags.slice(0, TAGS_SHOWN).map((tag) => (
          <button key={tag} type="button" className={css.tag} onClick={() => onTag(tag)}>
            {tag}
          </button>
        ))}
        {tags.length > TAGS_SHOWN && <span className={cell.dim}>+{tags.length - TAGS_SHOWN}</span>}
      </span>
      <span className={`${cell.dim} ${cell.wide}`}>{short(row.messages ?? 0)}</span>
      <span className={cell.dim}>
        <Time at={row.last_seen} as="ago" />
      </span>
    </>
  );
}
