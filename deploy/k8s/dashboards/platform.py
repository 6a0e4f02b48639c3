"""The first look: does it work?"""

from deploy.k8s.grafana import Dashboard, Panel, quantile, rate, rates

HTTP, CALL = "http_server_request_duration_seconds", "hybridmq_call_duration_seconds"
REAL = 'http_route!~"/metrics|/healthz|/readyz"'  # those are asked by machines, all day
QUICK = 'http_route!~"/metrics|/healthz|/readyz|/v1/stream|/v1/ingest/stream|/v1/.+/export"'
FAULTS = f'http_response_status_code=~"5..", {REAL}'
FAILED = f"{rate(f'{HTTP}_count', where=FAULTS)} or vector(0)"
NOT_READY = "(hybridmq_health_check == bool 0)"
STORED = rate("hybridmq_projection_messages_total", where='projection="messages"')

PLATFORM = Dashboard(
    "platform",
    "Platform",
    "Does it work? The row of numbers first: all green is well. Each alert's runbook says which graph to look at next.",
    (
        Panel(
            "Devices connected",
            "short",
            "To the hosted broker, now. A sudden fall: the broker, the relay, or a network of theirs.",
            [("devices", "max(hybridmq_connections)")],
            kind="stat",
        ),
        Panel(
            "Messages stored",
            "cps",
            "Device messages a second that reach PostgreSQL.",
            [("messages", STORED)],
            kind="stat",
        ),
        Panel(
            "Waiting to be stored",
            "short",
            "Messages in the logs that PostgreSQL does not have yet. Red: alert LogLagGrows, if it grows.",
            [("messages", "max(hybridmq_projection_pending)")],
            bad_above=50_000,
            kind="stat",
        ),
        Panel(
            "Requests that fail",
            "percentunit",
            "Share of HTTP requests that are answered with 5xx. Red: alert RequestsFail.",
            [("share", f"({FAILED}) / {rate(f'{HTTP}_count', where=REAL)}")],
            bad_above=0.02,
            most=1,
            kind="stat",
        ),
        Panel(
            "Dead letters in 15 min",
            "short",
            "Messages that no decoder could read. Red: alert DeadLetters.",
            [("messages", "sum(increase(hybridmq_dead_letters_total[15m]))")],
            bad_above=100,
            kind="stat",
        ),
        Panel(
            "Checks that say no",
            "short",
            "Of /readyz, in all replicas; which ones is on the graph below. During a rollout some are for seconds.",
            [("checks", f"sum{NOT_READY}")],
            bad_above=1,
            kind="stat",
        ),
        Panel(
            "HTTP requests",
            "reqps",
            "By route.",
            [("{{http_route}}", rate(f"{HTTP}_count", "http_route", REAL))],
        ),
        Panel(
            "HTTP answers that are no success",
            "reqps",
            "4xx is the caller's affair (401 after a key was revoked, 429 at a limit); 5xx is ours.",
            rates(
                f"{HTTP}_count",
                "http_response_status_code, http_route",
                f'http_response_status_code=~"[45]..", {REAL}',
            ),
        ),
        Panel(
            "HTTP time",
            "s",
            "To the answer's end, but of streams and exports, which last. Points are requests with a trace.",
            [(f"p{int(q * 100)}", quantile(q, HTTP, where=QUICK)) for q in (0.5, 0.95, 0.99)],
            exemplars=True,
        ),
        Panel(
            "Stored",
            "cps",
            "Device messages, and the rows that all projections make.",
            [("messages", STORED), ("rows", rate("hybridmq_projection_rows_total"))],
        ),
        Panel(
            "Waiting to be stored, by projection",
            "short",
            "Lag: what is in the log and not yet in PostgreSQL. Nothing is lost; what people see is late.",
            [("{{projection}}", "max by (projection) (hybridmq_projection_pending)")],
            bad_above=50_000,
        ),
        Panel(
            "Readers of the live stream",
            "short",
            "Open connections to /v1/stream.",
            [("readers", "sum(hybridmq_stream_readers)")],
        ),
        Panel(
            "Calls between services, p99",
            "s",
            "Over NATS, by call, without the way there and back.",
            [("{{call}}", quantile(0.99, CALL, "call"))],
            exemplars=True,
        ),
        Panel(
            "Calls that failed",
            "cps",
            "By call and code. `….unavailable`: the service behind it, or NATS; `internal`: a defect; else refusals.",
            rates(f"{CALL}_count", "call, outcome", 'outcome!="ok"'),
        ),
        Panel(
            "Checks that say no, by service",
            "short",
            "Replicas in which a check of /readyz says no.",
            [
                ("all", f"sum{NOT_READY}"),
                ("{{job}} {{check}}", f"sum by (job, check) {NOT_READY} > 0"),
            ],
        ),
        Panel(
            "CPU",
            "percentunit",
            "Of one core, all replicas of a service together. The telemetry that writes is done at 100 %.",
            [("{{job}}", rate("process_cpu_seconds_total", "job"))],
        ),
        Panel(
            "Memory",
            "bytes",
            "Resident, of a service's largest replica. Steady growth over days is a leak.",
            [("{{job}}", "max by (job) (process_resident_memory_bytes)")],
        ),
        Panel(
            "Registry",
            "short",
            "Entries ever made, by kind. Every replica of credentials holds all of them in memory.",
            [("{{kind}}", "max by (kind) (hybridmq_registry_entries)")],
        ),
    ),
)
