import { Autocomplete, Button, CloseButton, Select } from "@mantine/core";
import { Download } from "lucide-react";
import { useEffect, useState } from "react";
import { fileAddress } from "@/api/client";
import css from "@/ui/List.module.css";
import { SettlingInput } from "@/ui/SettlingInput";
import { Time } from "@/ui/Time";
import { useFile } from "@/ui/useFile";
import type { ActivitySearch, Asked } from "./Activity";

const HOUR_MS = 3_600_000;
const SINCE = [
  { value: "1", label: "The last hour" },
  { value: "24", label: "The last day" },
  { value: "168", label: "The last week" },
];
/** Beginnings that kinds have; a whole one may be typed. */
const KINDS = [
  "device.*",
  "device.refused",
  "link.*",
  "credential.*",
  "integration.*",
  "alert.*",
  "alert-rule.*",
  "webhook.*",
  "publish.*",
  "publish.failed",
  "command.*",
  "dead-letter.*",
  "redecode.*",
  "api-key.*",
  "organization.*",
];
const OTHERS = ["device", "integration", "credential", "actor"] as const;

interface FiltersProps {
  search: ActivitySearch;
  asked: Asked;
  set: (change: ActivitySearch) => void;
}

export function Filters({ search, asked, set }: FiltersProps) {
  const file = useFile(fileAddress("/v1/activity/export", { format: "csv", ...asked, kind: search.kind }));
  const chosen = SINCE.find(({ value }) => search.from && near(search.from, Number(value)));
  return (
    <>
      <div className={css.tools}>
        <SettlingInput
          className={css.grow}
          label="Search"
          placeholder="words, ids, addresses"
          maxLength={64}
          value={search.q}
          settle={(q) => set({ q })}
        />
        <KindFilter value={search.kind} settle={(kind) => set({ kind })} />
        <Select
          className={css.choice}
          label="Outcome"
          placeholder="Any"
          clearable
          data={[
            { value: "ok", label: "Succeeded" },
            { value: "failed", label: "Failed" },
            { value: "refused", label: "Refused" },
          ]}
          value={search.status ?? null}
          onChange={(value) => set({ status: (value as ActivitySearch["status"]) ?? undefined })}
        />
        <Select
          className={css.choice}
          label="Direction"
          placeholder="Any"
          clearable
          data={[
            { value: "in", label: "From devices and brokers" },
            { value: "out", label: "To them and webhooks" },
            { value: "own", label: "By people and itself" },
          ]}
          value={search.direction ?? null}
          onChange={(value) => set({ direction: (value as ActivitySearch["direction"]) ?? undefined })}
        />
        <Select
          className={css.choice}
          label="Since"
          placeholder={search.from ? "" : "All that is kept"}
          clearable
          data={SINCE}
          value={chosen?.value ?? null}
          onChange={(value) =>
            set({
              from: value ? new Date(Date.now() - Number(value) * HOUR_MS).toISOString() : undefined,
              to: undefined,
            })
          }
        />
        <div className={css.end}>
          <Button
            component="a"
            {...file}
            variant="default"
            loading={file["aria-busy"]}
            leftSection={<Download size={15} />}
          >
            CSV
          </Button>
        </div>
      </div>
      <Others search={search} set={set} />
    </>
  );
}

/** Filters that links bring with them. */
function Others({ search, set }: Pick<FiltersProps, "search" | "set">) {
  const held = OTHERS.filter((name) => search[name]);
  const span = search.from && search.to;
  if (!held.length && !span) return null;
  return (
    <div className={css.tools}>
      {held.map((name) => (
        <span key={name} className={css.only}>
          {name} <span className="mono break">{search[name]}</span>
          <CloseButton size="sm" aria-label={`Of any ${name}`} onClick={() => set({ [name]: undefined })} />
        </span>
      ))}
      {span && (
        <span className={css.only}>
          <Time at={search.from} /> to <Time at={search.to} />
          <CloseButton
            size="sm"
            aria-label="Of any time"
            onClick={() => set({ from: undefined, to: undefined })}
          />
        </span>
      )}
    </div>
  );
}

function KindFilter({ value = "", settle }: { value?: string; settle: (kind: string | undefined) => void }) {
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  const take = (next: string) => settle(next.trim().toLowerCase() || undefined);
  return (
    <Autocomplete
      className={css.choice}
      label="Kind"
      placeholder="device.refused, link.*"
      data={KINDS}
      value={typed}
      onChange={setTyped}
      onOptionSubmit={take}
      onBlur={() => take(typed)}
      onKeyDown={(event) => event.key === "Enter" && take(typed)}
    />
  );
}

/** Whether a moment is so many hours ago, as far as somebody who chose it minutes ago cares. */
const near = (from: string, hours: number): boolean =>
  Math.abs((Date.now() - Date.parse(from)) / (hours * HOUR_MS) - 1) < 0.2;
