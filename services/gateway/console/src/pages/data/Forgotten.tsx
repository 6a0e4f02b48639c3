import { Button, Modal, Progress, Select } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Eraser } from "lucide-react";
import { useState } from "react";
import { api, ok } from "@/api/client";
import type { Erasure } from "@/api/schema";
import { ConfirmByName } from "@/ui/ConfirmByName";
import { Answered, Empty } from "@/ui/Feedback";
import { counted } from "@/ui/format";
import { type Column, More, Rows, useList } from "@/ui/List";
import css from "@/ui/List.module.css";
import { Card } from "@/ui/Page";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { done } from "@/ui/toasts";

/** Devices whose data is or was erased, and the way to have another one erased. */
export function Forgotten({ manages }: { manages: boolean }) {
  const [choosing, setChoosing] = useState(false);
  const list = useList({
    key: ["erasures"],
    page: (cursor) => ok(api.GET("/v1/erasures", { params: { query: { limit: 50, cursor } } })),
    everyMs: 2000,
  });
  const rows = list.data ?? [];
  const forget = manages && (
    <Button size="xs" variant="default" leftSection={<Eraser size={15} />} onClick={() => setChoosing(true)}>
      Forget a device
    </Button>
  );
  return (
    <Card title="Forgotten devices" flush actions={rows.length > 0 && forget}>
      <Answered query={list} rows={3}>
        {rows.length === 0 ? (
          <Empty icon={Eraser} title="No device was forgotten" action={forget}>
            Forgetting a device erases its readings, messages, dead letters and commands for good, and all
            that was said of it. Revoke its credential where nothing more shall come.
          </Empty>
        ) : (
          <Rows rows={rows} columns={COLUMNS} id={(row) => row.id} />
        )}
        <More list={list} />
      </Answered>
      {manages && <Forget opened={choosing} onClose={() => setChoosing(false)} />}
    </Card>
  );
}

const TONES = { ordered: "idle", running: "warn", done: "good" } as const;
const WORDS = { ordered: "ordered", running: "being erased", done: "erased" } as const;

const COLUMNS: Column<Erasure>[] = [
  {
    head: "Device",
    cell: (row) => (
      <>
        <strong className="break">{row.device_id}</strong>
        <div className={css.under}>{gone(row)}</div>
        {row.state === "running" && (
          <Progress value={100} animated striped size="sm" mt={6} aria-label="Being erased" />
        )}
      </>
    ),
  },
  {
    head: "State",
    cell: (row) => (
      <Status tone={TONES[row.state]} pulse={row.state !== "done"}>
        {WORDS[row.state]}
      </Status>
    ),
  },
  { head: "Ordered", wide: true, tight: true, cell: (row) => <Time at={row.forgotten_at} as="ago" /> },
  { head: "Done", tight: true, cell: (row) => <Time at={row.finished_at} as="ago" none="not yet" /> },
];

function gone(row: Erasure): string {
  const parts = [
    [row.readings, "reading"],
    [row.messages, "message"],
    [row.dead_letters, "dead letter"],
    [row.commands, "command"],
  ] as const;
  const told = parts.filter(([n]) => n).map(([n, of]) => counted(n ?? 0, of));
  const step = row.state === "running" && row.step ? ` · now ${row.step.replaceAll("_", " ")}` : "";
  return `${told.length ? `gone: ${told.join(", ")}` : "nothing gone yet"}${step}`;
}

const FOUND = 20;

function Forget({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const client = useQueryClient();
  const [wanted, setWanted] = useState("");
  const [q] = useDebouncedValue(wanted, 250);
  const [id, setId] = useState<string | null>(null);
  const [asking, setAsking] = useState(false);
  const found = useQuery({
    queryKey: ["devices", "found", q],
    queryFn: () =>
      ok(api.GET("/v1/devices", { params: { query: { q: q || undefined, limit: FOUND, hidden: "all" } } })),
    enabled: opened,
    placeholderData: (before) => before,
  });
  const forgetting = useMutation({
    mutationFn: (device: string) => ok(api.DELETE("/v1/devices/{id}", { params: { path: { id: device } } })),
    onSuccess: () => {
      done("It is being erased");
      setId(null);
      onClose();
      void client.invalidateQueries({ queryKey: ["erasures"] });
      void client.invalidateQueries({ queryKey: ["devices"] });
    },
  });
  const names = (found.data?.items ?? []).map((each) => ({
    value: each.id,
    label: each.name ? `${each.name} (${each.id})` : each.id,
  }));
  const data = id && !names.some((each) => each.value === id) ? [{ value: id, label: id }, ...names] : names;
  return (
    <>
      <Modal
        opened={opened && !asking}
        onClose={onClose}
        title="Forget a device"
        closeButtonProps={{ "aria-label": "Close" }}
      >
        <div className={css.form}>
          <Select
            label="Device"
            placeholder="Search by id or name"
            searchable
            data={data}
            filter={({ options }) => options}
            value={id}
            onChange={setId}
            onSearchChange={setWanted}
            nothingFoundMessage={found.isFetching ? "Searching…" : "No device fits"}
            data-autofocus
          />
          <div className={css.end}>
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button color="red" disabled={!id} onClick={() => setAsking(true)}>
              Go on
            </Button>
          </div>
        </div>
      </Modal>
      <ConfirmByName
        opened={asking}
        onClose={() => setAsking(false)}
        title="Erase all of this device's data?"
        name={id ?? ""}
        action="Erase it"
        run={() => forgetting.mutateAsync(id ?? "")}
      >
        Its readings, messages, latest values, dead letters and commands are erased for good, its name and
        tags too. If it sends again, it is a new device. The activity keeps what people did.
      </ConfirmByName>
    </>
  );
}
