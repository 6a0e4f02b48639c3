"""Where messages go: the logs, PostgreSQL."""

from deploy.k8s.grafana import Dashboard, Panel, quantile, rate, rates

CALL, COMMIT = "hybridmq_call_duration_seconds", "hybridmq_projection_commit_seconds"
BATCH = "hybridmq_projection_batch"
HIT, READ = (f"rate(hybridmq_database_blocks_{kind}_total[5m])" for kind in ("hit", "read"))


def _by_stream(expression: str) -> list[tuple[str, str]]:
    return [("{{stream}}", f"max by (stream) ({expression})")]


LOG = Dashboard(
    "log",
    "Event log and lag",
    "The streams of NATS, and how far PostgreSQL is behind them.",
    (
        Panel(
            "Waiting to be stored",
            "short",
            "Lag: messages in the log that PostgreSQL does not have yet. Red and growing: alert LogLagGrows.",
            [("{{projection}}", "max by (projection) (hybridmq_projection_pending)")],
            bad_above=50_000,
        ),
        Panel(
            "Written",
            "cps",
            "Messages a second into each stream, over five minutes. MESSAGES at 0: nobody sends, or it is cut off.",
            _by_stream("deriv(hybridmq_stream_last_sequence[5m])"),
        ),
        Panel(
            "Share of a stream's limit",
            "percentunit",
            "At 100 % the oldest messages go before their age would end them. Red: alert StreamNearItsLimit.",
            _by_stream("hybridmq_stream_size_bytes / hybridmq_stream_size_limit_bytes"),
            bad_above=0.8,
            most=1,
        ),
        Panel("Size", "bytes", "Of one copy.", _by_stream("hybridmq_stream_size_bytes")),
        Panel(
            "Oldest message",
            "s",
            "How far back history can be decoded again; less than a stream's days where its bytes are full.",
            _by_stream("hybridmq_stream_oldest_age_seconds"),
        ),
        Panel(
            "Copies that are missing",
            "short",
            "Of those that there should be. Above 0 for ten minutes: alert StreamLacksCopies.",
            _by_stream("hybridmq_stream_copies_wanted - hybridmq_stream_copies_current"),
            bad_above=1,
        ),
        Panel(
            "Messages a transaction",
            "short",
            "Up to 4,000. Near that, with short transactions, one core of telemetry is the limit.",
            [
                (
                    "{{projection}}",
                    f"{rate(f'{BATCH}_sum', 'projection')} / {rate(f'{BATCH}_count', 'projection')}",
                )
            ],
        ),
        Panel(
            "Time of a transaction, p99",
            "s",
            "Long, while they are small: PostgreSQL is slow. Points are batches with a trace.",
            [("{{projection}}", quantile(0.99, COMMIT, "projection"))],
            exemplars=True,
        ),
        Panel(
            "Dead letters",
            "cps",
            "Messages that no decoder could read, by reason.",
            rates("hybridmq_dead_letters_total", "reason"),
        ),
        Panel("Messages held", "short", "By each stream, by now.", _by_stream("hybridmq_stream_messages")),
    ),
)
POSTGRES = Dashboard(
    "postgres",
    "PostgreSQL",
    "As telemetry sees it; CloudNativePG has a dashboard of its own for replication, backups and disks.",
    (
        Panel(
            "Size", "bytes", "Of the database on disk.", [("database", "max(hybridmq_database_size_bytes)")]
        ),
        Panel(
            "Largest tables",
            "bytes",
            "With their partitions and indexes.",
            [("{{table}}", "topk(10, max by (table) (hybridmq_database_table_size_bytes))")],
        ),
        Panel(
            "Sessions",
            "short",
            "Of everybody, and how many there may be. Four fifths of them: alert DatabaseSessionsRunOut.",
            [
                ("open", "max(hybridmq_database_connections)"),
                ("limit", "max(hybridmq_database_connections_limit)"),
            ],
        ),
        Panel(
            "Transactions",
            "cps",
            "Of everybody.",
            [
                ("committed", "max(rate(hybridmq_database_commits_total[$__rate_interval]))"),
                ("rolled back", "max(rate(hybridmq_database_rollbacks_total[$__rate_interval]))"),
            ],
        ),
        Panel(
            "Blocks found in memory",
            "percentunit",
            "Share of all that were read. Below 99 % for long: what is asked for does not fit into shared_buffers.",
            [("share", f"max({HIT} / ({HIT} + {READ}))")],
            most=1,
        ),
        Panel(
            "Deadlocks",
            "short",
            "In the last hour. None is expected: two writers took the same rows in another order.",
            [("deadlocks", "max(increase(hybridmq_database_deadlocks_total[1h]))")],
            bad_above=1,
        ),
        Panel(
            "Time of a transaction of the projections, p99",
            "s",
            "Of those that store what devices send.",
            [("{{projection}}", quantile(0.99, COMMIT, "projection"))],
            exemplars=True,
        ),
        Panel(
            "Queries, p99",
            "s",
            "Of telemetry, by call: what people wait for.",
            [("{{call}}", quantile(0.99, CALL, "call", 'call=~"query.telemetry.*"'))],
            exemplars=True,
        ),
    ),
)
