"""How many of everything there are, as metrics. Every replica tells the same."""

from __future__ import annotations

from typing import Any

from opentelemetry.metrics import CallbackOptions, Observation

from runtime.observe import meter
from services.credentials.census import Census
from services.credentials.directory import Directory, Table

ORGANIZATIONS_MAX = 1_000
"""Of these the connections are told by organization, where the operator asks for it; the busiest first."""


def of_registry(directory: Directory) -> None:
    """Of what the registry holds, deleted entries not counted out."""

    def entries(_: CallbackOptions) -> list[Observation]:
        tables: dict[str, Table[Any]] = {
            "organization": directory.organizations,
            "api-key": directory.api_keys,
            "credential": directory.credentials,
            "integration": directory.integrations,
        }
        return [Observation(len(table.by_id), {"kind": kind}) for kind, table in tables.items()]

    meter.create_observable_gauge(
        "hybridmq.registry.entries", [entries], description="Entries of the registry ever made, by kind"
    )


def of_connections(census: Census, *, by_organization: bool) -> None:
    """Of devices that are connected to the hosted broker."""

    def connected(_: CallbackOptions) -> list[Observation]:
        return [Observation(len(census.sessions))]

    meter.create_observable_gauge(
        "hybridmq.connections", [connected], description="Devices connected to the hosted broker"
    )
    if not by_organization:
        return

    def of_organizations(_: CallbackOptions) -> list[Observation]:
        busiest = sorted(census.by_organization.items(), key=lambda held: -held[1])[:ORGANIZATIONS_MAX]
        return [Observation(count, {"organization": organization}) for organization, count in busiest]

    meter.create_observable_gauge(
        "hybridmq.organization.connections", [of_organizations], description="The same, by organization"
    )
