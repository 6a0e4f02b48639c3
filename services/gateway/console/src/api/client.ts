import createClient, { defaultPathSerializer, type FetchResponse, type Middleware } from "openapi-fetch";
import { type Problem, problemFrom } from "./problem";
import type { paths } from "./schema";
import { asSegment } from "./segments";
import { EventParser, type StreamEvent } from "./sse";

const sessionEnded = new Set<() => void>();
let organization: string | null = null;

/** For which organization the operator acts in this tab; null for everybody else. */
export function actFor(chosen: string | null): void {
  organization = chosen;
}

export function onSessionEnded(listener: () => void): () => void {
  sessionEnded.add(listener);
  return () => sessionEnded.delete(listener);
}

/** What every request of ours carries: another site's page could not add it. */
export function ownHeaders(): Record<string, string> {
  return { "x-console-session": "1", ...(organization ? { "x-organization": organization } : {}) };
}

/** The address of a file that the browser saves as it comes. A link carries no header: it names the organization itself. */
export function fileAddress(
  path: "/v1/telemetry/export" | "/v1/activity/export",
  asked: Record<string, string | undefined>,
): string {
  const query = new URLSearchParams(organization ? { organization } : {});
  for (const [name, value] of Object.entries(asked)) if (value) query.set(name, value);
  return `${path}?${query}`;
}

/** What a refused response says; whoever waits for the session's end is told. */
export async function refusal(response: Response): Promise<Problem> {
  const document = await response.json().catch(() => undefined);
  return ended(problemFrom(document, response));
}

function ended(problem: Problem): Problem {
  if (problem.status === 401) tellSessionEnded();
  return problem;
}

export function tellSessionEnded(): void {
  for (const listener of sessionEnded) listener();
}

const session: Middleware = {
  onRequest({ request }) {
    for (const [name, value] of Object.entries(ownHeaders())) request.headers.set(name, value);
    return request;
  },
};

/** The gateway's API with the types of its OpenAPI document. Wrap calls in `ok`. */
export const api = createClient<paths>({
  baseUrl: "/",
  querySerializer: { array: { style: "form", explode: true } },
  pathSerializer: (path, held) =>
    defaultPathSerializer(
      path,
      Object.fromEntries(
        Object.entries(held).map(([name, value]) => [
          name,
          typeof value === "string" ? asSegment(value) : value,
        ]),
      ),
    ),
});
api.use(session);

/** The answer's body; throws a `Problem` where the API refused. */
export async function ok<T extends Record<string | number, unknown>, O, M extends `${string}/${string}`>(
  asked: Promise<FetchResponse<T, O, M>>,
): Promise<NonNullable<FetchResponse<T, O, M>["data"]>> {
  const { data, error, response } = await asked;
  if (!response.ok) throw ended(problemFrom(error, response));
  return data as NonNullable<FetchResponse<T, O, M>["data"]>;
}

/** What a call tells while it works, event by event, until it ends. Throws a `Problem` where it is refused. */
export async function told(
  address: string,
  body: unknown,
  onEvent: (event: StreamEvent) => void,
  signal?: AbortSignal,
): Promise<void> {
  const headers = { ...ownHeaders(), "content-type": "application/json", accept: "text/event-stream" };
  const response = await fetch(address, { method: "POST", headers, body: JSON.stringify(body), signal });
  if (!response.ok || !response.body) throw await refusal(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new EventParser();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    for (const event of parser.push(value)) onEvent(event);
  }
}

/** The answer to lines (NDJSON, CSV), line by line as they come. Throws a `Problem` where it is refused. */
export async function lines(
  address: string,
  body: Blob,
  headers: Record<string, string>,
  onLines: (lines: unknown[]) => void,
  signal?: AbortSignal,
): Promise<void> {
  const response = await fetch(address, {
    method: "POST",
    headers: { ...ownHeaders(), ...headers },
    body,
    signal,
  });
  if (!response.ok || !response.body) throw await refusal(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const whole = (rest + value).split("\n");
    rest = whole.pop() ?? "";
    if (whole.length) onLines(whole.filter(Boolean).map((line) => JSON.parse(line)));
  }
}

/** All pages of a list, up to `most` items: what a table that sorts and searches in the browser needs. */
export async function all<Item>(
  page: (cursor: string | undefined) => Promise<{ items: Item[]; next_cursor?: string | null }>,
  most = 10_000,
): Promise<Item[]> {
  const found: Item[] = [];
  let cursor: string | undefined;
  do {
    const one = await page(cursor);
    found.push(...one.items);
    cursor = one.next_cursor ?? undefined;
  } while (cursor && found.length < most);
  return found;
}
