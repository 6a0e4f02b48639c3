import type { Problem as ProblemDocument } from "./schema";

/** A failure as the API tells it (RFC 9457), or `network` where nobody answered. */
export class Problem extends Error {
  readonly code: string;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly traceId: string | undefined;
  readonly errors: { field: string; detail: string }[];
  readonly retryAfterS: number | undefined;
  /** All members of the document: a connection test's steps stand beside the standard ones. */
  readonly document: Record<string, unknown>;

  constructor(document: Partial<ProblemDocument>, status: number, retryAfterS?: number) {
    super(document.detail || document.title || "The request failed");
    this.code = document.code ?? "internal";
    this.status = status;
    this.title = document.title ?? "The request failed";
    this.detail = document.detail ?? "";
    this.traceId = document.trace_id ?? undefined;
    this.errors = document.errors ?? [];
    this.retryAfterS = retryAfterS;
    this.document = document as Record<string, unknown>;
  }

  /** What was said of one field of a form. */
  of(field: string): string | undefined {
    return this.errors.find((each) => each.field === field || each.field.startsWith(`${field}.`))?.detail;
  }

  /** Whether asking again later may help. */
  get passing(): boolean {
    return this.status === 0 || this.status >= 500 || this.status === 429;
  }
}

/** Of a refused response with its body as JSON, where it had one. */
export function problemFrom(document: unknown, response: Response): Problem {
  const retry = Number(response.headers.get("retry-after")) || undefined;
  const told = typeof document === "object" && document !== null ? document : {};
  return new Problem({ title: "The gateway did not answer as expected", ...told }, response.status, retry);
}

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof TypeError) {
    return new Problem(
      {
        code: "network",
        title: "The gateway cannot be reached",
        detail: "No answer came: the network is down, or the gateway is restarting.",
      },
      0,
    );
  }
  return new Problem({ code: "console", title: "This page failed", detail: String(error) }, -1);
}

const NEXT_STEPS: Record<string, string> = {
  network: "It is tried again by itself. If this lasts, ask whoever runs the platform.",
  "session.ended": "Sign in again.",
  "session.foreign": "Open the console at its own address, and sign in there.",
  "key.invalid": "Use another API key; an administrator of the organization can issue one.",
  "scope.missing": "Sign in with a key that has the scope, or have one issued under API keys.",
  not_found: "It may have been deleted. Go back to the list.",
  "limit.reached": "Wait a moment, or look under Limits at what is used.",
  conflict: "Load the page again and repeat the change.",
  "name.taken": "Choose another name.",
  "request.invalid": "Mend what is named, and try again.",
  "cursor.invalid": "Load the list again.",
  "idempotency.reused": "Load the page again and repeat it.",
  "organization.deleted": "Ask whoever runs the platform.",
  "format.unavailable": "Choose CSV or NDJSON.",
  "retention.exceeded": "Choose a shorter time, or longer steps.",
  "redecode.running": "Wait until it is done, or cancel it under Redecode.",
  "redecode.ended": "Load the page again: it is over.",
  "rebuild.running": "Wait until it is done.",
  "decoder.unknown": "Choose one of the decoders in the list.",
  "decoder.settings": "Mend the settings that are named.",
  "alert.resolved": "There is nothing left to do: it is over.",
  "alert_rule.built_in": "Switch it off instead.",
  "integration.hosted": "The hosted broker always runs; choose another integration.",
  "certificate.invalid": "Give the certificate as PEM, with all of its chain.",
  "address.forbidden":
    "Choose an address on the public internet, or ask whoever runs the platform to allow it.",
  "broker.unreachable": "Look at host, port and firewall; the connection test says at which step it ends.",
  "broker.timeout": "Look whether the broker is up; the connection test says at which step it ends.",
  "broker.refused": "Look at user name, password and client id.",
  "link.down": "Wait until the link is up, or look at its log.",
  "webhook.insecure": "Give an address that begins with https://.",
  "webhook.paused": "Resume it first.",
  "webhook.of_subscription": "It goes with its subscription: change it there.",
  "payload.too_large": "Send less at once; Limits says how much is taken.",
  "topic.forbidden": "Choose a topic below devices/ or commands/.",
  "acl.outside": "Filters begin with the organization's topic prefix, or leave it out.",
  "filter.invalid": "In a filter, + stands for one whole level and # for all that follow, at the end.",
  "topic.invalid": "A topic holds no wildcards, no spaces and no empty levels.",
  "expiry.past": "Choose a time in the future.",
  "credential.revoked": "Issue another credential: revoking is for good.",
  "credential.expired": "Issue another credential.",
  "store.unavailable":
    "Messages still arrive and are kept; what they say is shown when the database is back.",
  "log.unavailable": "Try again in some seconds.",
  "service.unavailable": "Try again in some seconds.",
  internal: "Try again; if it lasts, tell whoever runs the platform the trace id.",
  console: "Load the page again.",
};

export function nextStep(problem: Problem): string | undefined {
  return NEXT_STEPS[problem.code] ?? (problem.passing ? "Try again in some seconds." : undefined);
}
