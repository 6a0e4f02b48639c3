"""`python -m deploy.k8s.dashboards`: writes Grafana's dashboards, as JSON, from the tables below."""

from __future__ import annotations

from deploy.k8s.grafana import FOLDER, Dashboard, Panel, quantile, rate

HTTP, CALL, COMMIT = (
    "http_server_request_duration_seconds",
    "hybridmq_call_duration_seconds",
    "hybridmq_projection_commit_seconds",
)
BATCH = "hybridmq_projection_batch"
HIT, READ = (f"rate(hybridmq_database_blocks_{kind}_total[5m])" for kind in ("hit", "read"))
PENDING = ("{{projection}}", "max by (projection) (hybridmq_projection_pending)")

PLATFORM = Dashboard(
    "platform",
    "Platform",
    (
        Panel("HTTP requests", "reqps", [("{{http_route}}", rate(f"{HTTP}_count", "http_route"))]),
        Panel(
            "HTTP answers that are no success",
            "reqps",
            [
                (
                    "{{http_response_status_code}}",
                    rate(f"{HTTP}_count", "http_response_status_code", 'http_response_status_code=~"[45].."'),
                )
            ],
        ),
        Panel("HTTP time", "s", [(f"p{int(q * 100)}", quantile(q, HTTP)) for q in (0.5, 0.95, 0.99)]),
        Panel(
            "Messages stored",
            "cps",
            [
                (
                    "messages",
                    'sum(rate(hybridmq_projection_batch_sum{projection="messages"}[$__rate_interval]))',
                ),
                ("rows", rate("hybridmq_projection_rows_total")),
            ],
        ),
        Panel(
            "Waiting to be stored",
            "short",
            [PENDING],
            "Lag: messages in the log that PostgreSQL does not have yet.",
        ),
        Panel("Devices connected", "short", [("devices", "max(hybridmq_connections)")]),
        Panel("Calls between services, p99", "s", [("{{call}}", quantile(0.99, CALL, "call"))]),
        Panel(
            "Calls that failed",
            "cps",
            [("{{call}} {{outcome}}", rate(f"{CALL}_count", "call, outcome", 'outcome!="ok"'))],
        ),
        Panel(
            "Not ready",
            "short",
            [("{{job}} {{check}}", "sum by (job, check) (hybridmq_health_check == bool 0)")],
        ),
        Panel("CPU", "percentunit", [("{{job}}", rate("process_cpu_seconds_total", "job"))]),
        Panel("Memory", "bytes", [("{{job}}", "max by (job) (process_resident_memory_bytes)")]),
        Panel("Registry", "short", [("{{kind}}", "max by (kind) (hybridmq_registry_entries)")]),
    ),
)
TENANT = Dashboard(
    "tenant",
    "Tenant",
    (
        Panel(
            "Messages",
            "cps",
            [
                (
                    "{{organization}}",
                    rate(
                        "hybridmq_organization_messages_total",
                        "organization",
                        'organization=~"$organization"',
                    ),
                )
            ],
        ),
        Panel(
            "Readings",
            "cps",
            [
                (
                    "{{organization}}",
                    rate(
                        "hybridmq_organization_readings_total",
                        "organization",
                        'organization=~"$organization"',
                    ),
                )
            ],
        ),
        Panel(
            "Could not be decoded",
            "cps",
            [
                (
                    "{{organization}}",
                    rate(
                        "hybridmq_organization_failures_total",
                        "organization",
                        'organization=~"$organization"',
                    ),
                )
            ],
        ),
        Panel(
            "Devices connected",
            "short",
            [
                (
                    "{{organization}}",
                    'max by (organization) (hybridmq_organization_connections{organization=~"$organization"})',
                )
            ],
        ),
    ),
    (("organization", "label_values(hybridmq_organization_messages_total, organization)"),),
)
LINKS = Dashboard(
    "links",
    "Links to external brokers",
    (
        Panel("Links", "short", [("{{state}}", "sum by (state) (hybridmq_ingest_links)")]),
        Panel("Messages taken", "cps", [("{{source}}", rate("hybridmq_ingest_messages_total", "source"))]),
        Panel("Bytes taken", "Bps", [("{{source}}", rate("hybridmq_ingest_bytes_total", "source"))]),
        Panel("Not stored", "cps", [("{{reason}}", rate("hybridmq_ingest_dropped_total", "reason"))]),
        Panel("Redelivered copies recognised", "cps", [("copies", rate("hybridmq_ingest_duplicates_total"))]),
        Panel("Published out", "cps", [("{{outcome}}", rate("hybridmq_ingest_published_total", "outcome"))]),
    ),
)
HOSTED = Dashboard(
    "hosted",
    "Hosted broker",
    (
        Panel("Devices connected", "short", [("devices", "max(hybridmq_connections)")]),
        Panel("Connects", "cps", [("{{outcome}}", rate("hybridmq_connects_total", "outcome"))]),
        Panel("Devices behind the TLS relay", "short", [("devices", "sum(hybridmq_relay_connections)")]),
        Panel(
            "Ended by the TLS relay", "cps", [("{{reason}}", rate("hybridmq_relay_refused_total", "reason"))]
        ),
        Panel(
            "At the broker, not yet in the log",
            "short",
            [("messages", "max(hybridmq_stream_source_pending)")],
        ),
        Panel(
            "QoS 0",
            "cps",
            [("messages", rate("hybridmq_ingest_messages_total", where='source="hosted-qos0"'))],
        ),
        Panel(
            "The certificate ends in",
            "s",
            [("{{certificate}}", "min by (certificate) (hybridmq_certificate_expiry_seconds) - time()")],
        ),
    ),
)
LOG = Dashboard(
    "log",
    "Event log and lag",
    (
        Panel("Waiting to be stored", "short", [PENDING]),
        Panel(
            "Written", "cps", [("{{stream}}", "max by (stream) (deriv(hybridmq_stream_last_sequence[5m]))")]
        ),
        Panel(
            "Share of a stream's limit",
            "percentunit",
            [
                (
                    "{{stream}}",
                    "max by (stream) (hybridmq_stream_size_bytes / hybridmq_stream_size_limit_bytes)",
                )
            ],
        ),
        Panel("Size", "bytes", [("{{stream}}", "max by (stream) (hybridmq_stream_size_bytes)")]),
        Panel(
            "Oldest message", "s", [("{{stream}}", "max by (stream) (hybridmq_stream_oldest_age_seconds)")]
        ),
        Panel(
            "Copies that are missing",
            "short",
            [
                (
                    "{{stream}}",
                    "max by (stream) (hybridmq_stream_copies_wanted - hybridmq_stream_copies_current)",
                )
            ],
        ),
        Panel(
            "Messages a transaction",
            "short",
            [
                (
                    "{{projection}}",
                    f"{rate(f'{BATCH}_sum', 'projection')} / {rate(f'{BATCH}_count', 'projection')}",
                )
            ],
        ),
        Panel("Time of a transaction, p99", "s", [("{{projection}}", quantile(0.99, COMMIT, "projection"))]),
        Panel("Dead letters", "cps", [("{{reason}}", rate("hybridmq_dead_letters_total", "reason"))]),
        Panel("Messages held", "short", [("{{stream}}", "max by (stream) (hybridmq_stream_messages)")]),
    ),
)
POSTGRES = Dashboard(
    "postgres",
    "PostgreSQL",
    (
        Panel("Size", "bytes", [("database", "max(hybridmq_database_size_bytes)")]),
        Panel(
            "Largest tables", "bytes", [("{{table}}", "max by (table) (hybridmq_database_table_size_bytes)")]
        ),
        Panel(
            "Sessions",
            "short",
            [
                ("open", "max(hybridmq_database_connections)"),
                ("limit", "max(hybridmq_database_connections_limit)"),
            ],
        ),
        Panel(
            "Transactions",
            "cps",
            [
                ("committed", "max(rate(hybridmq_database_commits_total[$__rate_interval]))"),
                ("rolled back", "max(rate(hybridmq_database_rollbacks_total[$__rate_interval]))"),
            ],
        ),
        Panel(
            "Blocks found in memory",
            "percentunit",
            [
                (
                    "share",
                    f"max({HIT} / ({HIT} + {READ}))",
                )
            ],
        ),
        Panel("Deadlocks", "short", [("deadlocks", "max(increase(hybridmq_database_deadlocks_total[1h]))")]),
        Panel(
            "Time of a transaction of the projections, p99",
            "s",
            [("{{projection}}", quantile(0.99, COMMIT, "projection"))],
        ),
        Panel("Queries, p99", "s", [("{{call}}", quantile(0.99, CALL, "call", 'call=~"query.telemetry.*"'))]),
    ),
)
ALL = (PLATFORM, TENANT, LINKS, HOSTED, LOG, POSTGRES)

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for dashboard in ALL:
        dashboard.path.write_text(dashboard.text())
