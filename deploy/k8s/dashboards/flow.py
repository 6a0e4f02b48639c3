"""Where messages come from: tenants, their own brokers, the hosted one."""

from deploy.k8s.grafana import Dashboard, Panel, rate, rates

OF_TENANT = 'organization=~"$organization"'
OFF = "Empty unless METRICS_BY_ORGANIZATION is on."


def _by_tenant(what: str) -> list[tuple[str, str]]:
    return [("{{organization}}", rate(f"hybridmq_organization_{what}_total", "organization", OF_TENANT))]


TENANT = Dashboard(
    "tenant",
    "Tenant",
    "Who sends how much. Empty unless METRICS_BY_ORGANIZATION is on, for telemetry and credentials.",
    (
        Panel("Messages", "cps", f"Stored. {OFF}", _by_tenant("messages")),
        Panel("Readings", "cps", f"Stored: a message has any number of them. {OFF}", _by_tenant("readings")),
        Panel("Could not be decoded", "cps", f"Dead letters. {OFF}", _by_tenant("failures")),
        Panel(
            "Devices connected",
            "short",
            f"To the hosted broker. {OFF}",
            [
                (
                    "{{organization}}",
                    f"max by (organization) (hybridmq_organization_connections{{{OF_TENANT}}})",
                )
            ],
        ),
    ),
    (("organization", "label_values(hybridmq_organization_messages_total, organization)"),),
)
LINKS = Dashboard(
    "links",
    "Links to external brokers",
    "Connections of ours to brokers of tenants, and what goes out: publishes, webhooks.",
    (
        Panel(
            "Links",
            "short",
            "By state, all replicas together. One that is down is its tenant's affair (activity says why); many at"
            " once are ours.",
            [("{{state}}", "sum by (state) (hybridmq_ingest_links)")],
        ),
        Panel(
            "Messages taken",
            "cps",
            "`link`: from external brokers; `hosted-qos0`: QoS 0 of the hosted one.",
            [("{{source}}", rate("hybridmq_ingest_messages_total", "source"))],
        ),
        Panel(
            "Bytes taken",
            "Bps",
            "Their payloads.",
            [("{{source}}", rate("hybridmq_ingest_bytes_total", "source"))],
        ),
        Panel(
            "Not stored",
            "cps",
            "Messages that were dropped and said so to their tenant: too large, no topic of ours, or QoS 0 while the"
            " log took none.",
            rates("hybridmq_ingest_dropped_total", "reason"),
        ),
        Panel(
            "Redelivered copies recognised",
            "cps",
            "Sent again after a lost connection; stored once.",
            [("copies", rate("hybridmq_ingest_duplicates_total"))],
        ),
        Panel(
            "Published out",
            "cps",
            "To brokers of either kind: commands, publishes by API; by outcome.",
            [("{{outcome}}", rate("hybridmq_ingest_published_total", "outcome"))],
        ),
        Panel(
            "Calls to webhooks",
            "cps",
            "Attempts, by outcome.",
            [("{{outcome}}", rate("hybridmq_webhook_attempts_total", "outcome"))],
        ),
    ),
)
HOSTED = Dashboard(
    "hosted",
    "Hosted broker",
    "Devices: who gets in, who does not, and whether the log takes what they send.",
    (
        Panel(
            "Devices connected",
            "short",
            "By TCP, WebSocket and the relay together.",
            [("devices", "max(hybridmq_connections)")],
        ),
        Panel(
            "Connects",
            "cps",
            "Let in, and refused.",
            [
                ("let in", rate("hybridmq_connects_total", where='outcome="ok"')),
                ("refused", rate("hybridmq_connects_total", where='outcome!="ok"')),
            ],
        ),
        Panel(
            "Refused connects",
            "cps",
            "By reason; what each means is in the runbook ConnectsRefused.",
            rates("hybridmq_connects_total", "outcome", 'outcome!="ok"'),
        ),
        Panel(
            "Devices behind the TLS relay",
            "short",
            "Among those above.",
            [("devices", "sum(hybridmq_relay_connections)")],
        ),
        Panel(
            "Ended by the TLS relay",
            "cps",
            "Before the broker heard of them. `silent`, `malformed`: not a device; `broker unreachable`: NATS.",
            rates("hybridmq_relay_refused_total", "reason"),
        ),
        Panel(
            "At the broker, not yet in the log",
            "short",
            "Messages of QoS 1 and 2 that devices were acknowledged. Red: alert BrokerHoldsMessagesBack.",
            [("messages", "max(hybridmq_stream_source_pending)")],
            bad_above=10_000,
        ),
        Panel(
            "QoS 0",
            "cps",
            "Messages that ingest took from the broker; QoS 1 and 2 come without it.",
            [("messages", rate("hybridmq_ingest_messages_total", where='source="hosted-qos0"'))],
        ),
        Panel(
            "The certificate ends in",
            "s",
            "Of what the relay shows devices. Renewed 30 days before; red: alert CertificateEnds.",
            [("{{certificate}}", "min by (certificate) (hybridmq_certificate_expiry_seconds) - time()")],
            bad_below=14 * 86_400,
        ),
    ),
)
