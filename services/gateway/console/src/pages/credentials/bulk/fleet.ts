import { lines } from "@/api/client";
import { type Problem, problemFrom } from "@/api/problem";
import type { CredentialIssued, Problem as ProblemDocument } from "@/api/schema";

export type MediaType = "text/csv" | "application/x-ndjson";

/** What somebody brought: the lines, and the key by which they are issued once however often they are sent. */
export interface Fleet {
  name: string;
  text: string;
  type: MediaType;
  key: string;
}

/** What was said of one of its lines. */
export interface Told<One> {
  line: number;
  credential?: One;
  error?: ProblemDocument;
}

export interface Progress {
  done: number;
  total: number;
  refused: number;
}

/** What would be issued; without a name or a user name, one is generated. */
export interface Draft {
  name: string | null;
  device_id: string | null;
  username: string | null;
  publish: string[];
  subscribe: string[];
  expires_at: string | null;
}

export type Issued = Omit<CredentialIssued, "endpoints">;

export const BYTES_MAX = 4 * 1024 * 1024;
export const LINES_MAX = 10_000;

export const TEMPLATES: Record<MediaType, { name: string; text: string }> = {
  "text/csv": {
    name: "credentials.csv",
    text: `device_id,name,publish,subscribe,expires_at
boiler-7,Boiler in the hall,,,
boiler-8,,devices/boiler-8/telemetry devices/boiler-8/status,commands/boiler-8/#,2030-01-01T00:00:00Z
`,
  },
  "application/x-ndjson": {
    name: "credentials.ndjson",
    text: `{"device_id": "boiler-7", "name": "Boiler in the hall"}
{"device_id": "boiler-8", "publish": ["devices/boiler-8/telemetry"], "expires_at": "2030-01-01T00:00:00Z"}
`,
  },
};

export function fleetOf(name: string, text: string): Fleet {
  const objects = text.trimStart().startsWith("{");
  return { name, text, type: objects ? "application/x-ndjson" : "text/csv", key: random() };
}

/** Also where the page came by plain http from another machine: no `randomUUID` there. */
function random(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

interface Heard<One> extends Partial<Told<One>> {
  progress?: Progress;
}

/** Sends the lines; what is said of them comes batch by batch. Throws a `Problem`, also where it breaks off. */
async function send<One>(
  fleet: Fleet,
  address: string,
  onBatch: (told: Told<One>[], progress: Progress | undefined) => void,
  signal?: AbortSignal,
): Promise<void> {
  let broken: Problem | undefined;
  let last: Progress | undefined;
  const headers = { "content-type": fleet.type, "idempotency-key": fleet.key };
  await lines(
    address,
    new Blob([fleet.text], { type: fleet.type }),
    headers,
    (heard) => {
      const told: Told<One>[] = [];
      for (const one of heard as Heard<One>[]) {
        last = one.progress ?? last;
        if (one.line !== undefined) told.push(one as Told<One>);
        else if (one.error) broken = problemFrom(one.error, new Response(null, { status: one.error.status }));
      }
      onBatch(told, last);
    },
    signal,
  );
  if (broken) throw broken;
  if (last && last.done < last.total) throw new TypeError("the answer ended before its end");
}

export const check = (
  fleet: Fleet,
  onBatch: (told: Told<Draft>[], progress?: Progress) => void,
  signal?: AbortSignal,
) => send(fleet, "/v1/credentials/bulk?dry_run=true", onBatch, signal);

export const issue = (fleet: Fleet, onBatch: (told: Told<Issued>[], progress?: Progress) => void) =>
  send(fleet, "/v1/credentials/bulk", onBatch);

const cell = (value: string | number): string => {
  const text = String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

const csv = (head: string[], rows: (string | number)[][]): string =>
  [head, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");

/** All that a provisioning script needs, a device a line. */
export function issuedCsv(told: Told<Issued>[], mqtt: string): string {
  const head = "line id name device_id username password client_id topic_prefix mqtt".split(" ");
  const rows = told.flatMap(({ line, credential: one }) => {
    if (!one) return [];
    const { id, name, device_id, username, password, client_id, topic_prefix } = one;
    return [[line, id, name, device_id ?? "", username, password, client_id, topic_prefix, mqtt]];
  });
  return csv(head, rows);
}

export const issuedNdjson = (told: Told<Issued>[], mqtt: string): string =>
  told
    .flatMap(({ line, credential }) =>
      credential ? [`${JSON.stringify({ line, ...credential, endpoints: { mqtt } })}\n`] : [],
    )
    .join("");

export const refusedCsv = (told: Told<unknown>[]): string =>
  csv(
    ["line", "code", "field", "detail"],
    told.flatMap(({ line, error }) =>
      error ? [[line, error.code, error.errors?.[0]?.field ?? "", words(error)]] : [],
    ),
  );

/** Why a line is refused, in one sentence. */
export function words(error: ProblemDocument): string {
  const first = error.errors?.[0];
  if (first) return first.field ? `${first.field.replace(/\.\d+$/, "")}: ${first.detail}` : first.detail;
  return error.detail || error.title;
}
