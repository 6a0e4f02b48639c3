import { Button, FileButton, Textarea } from "@mantine/core";
import { Download, FileUp } from "lucide-react";
import { type DragEvent, type FormEvent, useState } from "react";
import { download } from "@/ui/download";
import { bytes } from "@/ui/format";
import { Card, Facts } from "@/ui/Page";
import css from "./Bulk.module.css";
import { BYTES_MAX, type Fleet, fleetOf, TEMPLATES } from "./fleet";

const COLUMNS: [name: string, words: string][] = [
  ["device_id", "Whose topics it may use: devices/<device_id>/…. Empty: any device of the organization."],
  ["name", "What people see. Empty: the device id."],
  ["publish, subscribe", "Topic filters with a space between. Empty: those of its device."],
  ["expires_at", "As in 2030-01-01T00:00:00Z. Empty: never."],
  [
    "username, password",
    "A pair that the device has already, with at least 8 characters in the password; it then connects as <organization>:<username>. Empty: both are generated.",
  ],
];

interface ChooseProps {
  text: string;
  setText: (text: string) => void;
  choose: (fleet: Fleet) => void;
}

/** A file, dropped or chosen, or lines that are pasted: read by this browser, sent only to be checked. */
export function Choose({ text, setText, choose }: ChooseProps) {
  const [over, setOver] = useState(false);
  const [problem, setProblem] = useState<string>();
  const take = (name: string, content: string) => {
    if (!content.trim()) setProblem("There is no line in it.");
    else choose(fleetOf(name, content));
  };
  const read = (file: File | null | undefined) => {
    if (!file) return;
    if (file.size > BYTES_MAX) {
      setProblem(
        `${file.name} has ${bytes(file.size)}; at most ${bytes(BYTES_MAX)} are taken at once. Split it.`,
      );
      return;
    }
    file
      .text()
      .then((content) => take(file.name, content))
      .catch(() => setProblem(`${file.name} cannot be read. Choose it again.`));
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    read(event.dataTransfer.files[0]);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    take("pasted lines", text);
  };
  return (
    <div className={css.halves}>
      <Card title="The lines">
        <div className={css.stack}>
          {/* biome-ignore lint/a11y/noStaticElementInteractions: beside the button, for whoever has a mouse */}
          <div
            className={`${css.drop} ${over ? css.over : ""}`}
            onDragOver={(event) => {
              event.preventDefault();
              setOver(true);
            }}
            onDragLeave={() => setOver(false)}
            onDrop={drop}
          >
            <FileUp size={26} aria-hidden />
            <FileButton accept=".csv,.ndjson,.jsonl,.json,.txt,text/csv" onChange={read}>
              {(props) => <Button {...props}>Choose a file</Button>}
            </FileButton>
            <span className={css.dim}>or drop it here: CSV or NDJSON, up to {bytes(BYTES_MAX)}</span>
          </div>
          {problem && (
            <p className={css.bad} role="alert">
              {problem}
            </p>
          )}
          <form onSubmit={submit} className={css.stack}>
            <Textarea
              label="Or paste lines"
              placeholder={"device_id,name\nboiler-7,Boiler in the hall\nboiler-8,"}
              rows={6}
              spellCheck={false}
              value={text}
              onChange={(event) => setText(event.currentTarget.value)}
              classNames={{ input: css.code }}
            />
            <div className={css.end}>
              <Button type="submit" variant="default" disabled={!text.trim()}>
                Check these lines
              </Button>
            </div>
          </form>
        </div>
      </Card>
      <Card title="What stands in a line">
        <div className={css.stack}>
          <Facts rows={COLUMNS.map(([name, words]) => [name, words])} />
          <p className={css.dim}>
            The first line of a CSV file names its columns, in any order; none is needed but one. Nothing is
            issued before you have seen what comes of it.
          </p>
          <div className={css.buttons}>
            {Object.values(TEMPLATES).map(({ name, text: content }) => (
              <Button
                key={name}
                size="xs"
                variant="default"
                leftSection={<Download size={15} />}
                onClick={() => download(name, content)}
              >
                {name.endsWith(".csv") ? "CSV template" : "NDJSON template"}
              </Button>
            ))}
          </div>
        </div>
      </Card>
    </div>
  );
}
