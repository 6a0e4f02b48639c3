"""Which filters a credential gets: the defaults, or those asked for, with the organization's prefix; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from contracts.acl import publish_subjects
from contracts.failures import Refused
from contracts.topics import check_filter, covers

CLIENT_ID_BYTES_MAX = 64
_TEMPLATE = re.compile(r"\{[^{}]*\}")
DEVICE, CLIENT = "{device_id}", "{client_id}"
_SAMPLE_CLIENT = "c" * CLIENT_ID_BYTES_MAX  # what a template is tried with: its length counts
_ORGANIZATION = re.compile(r"org_[^/]*")
PUBLISH_ROOTS = ("devices", "commands")


def publish_filters(organization: str, device_id: str | None, asked: Sequence[str] | None) -> tuple[str, ...]:
    """Refuses (`filter.invalid`, `acl.outside`) what cannot be published to."""
    if asked is None:
        asked = [f"devices/{device_id}/#" if device_id else "devices/#"]
    filters = _whole(organization, device_id, asked, "publish")
    for index, filter in enumerate(expanded(filters, device_id, _SAMPLE_CLIENT)):
        levels = filter.split("/")
        if len(levels) < 3 or levels[1] not in PUBLISH_ROOTS:
            raise Refused(
                "acl.outside",
                f"{filter}: publishing is allowed below `devices/` and `commands/`",
                field=f"publish.{index}",
            )
        if not publish_subjects([filter]):
            raise Refused(
                "filter.invalid",
                f"{filter}: a device publishes to a channel below its id, as in {filter}/telemetry",
                field=f"publish.{index}",
            )
    return filters


def subscribe_filters(
    organization: str, device_id: str | None, asked: Sequence[str] | None
) -> tuple[str, ...]:
    """Refuses (`filter.invalid`, `acl.outside`) what cannot be subscribed to."""
    if asked is None:
        asked = [f"commands/{device_id}/#"] if device_id else ["devices/#", "commands/#"]
    return _whole(organization, device_id, asked, "subscribe")


def expanded(filters: tuple[str, ...], device_id: str | None, client_id: str) -> tuple[str, ...]:
    """The filters with what their templates stand for: as they hold for one connection."""
    if not any("{" in filter for filter in filters):
        return filters
    return tuple(filter.replace(DEVICE, device_id or DEVICE).replace(CLIENT, client_id) for filter in filters)


def all_covered(filters: tuple[str, ...], by: tuple[str, ...]) -> bool:
    """Whether each of these filters lies within one of `by`: then nothing that they allow is taken away."""
    return all(any(covers(outer, filter) for outer in by) for filter in filters)


def _whole(organization: str, device_id: str | None, asked: Sequence[str], field: str) -> tuple[str, ...]:
    """The filters with the organization's prefix, each once."""
    return tuple(
        dict.fromkeys(
            _prefixed(organization, device_id, filter, f"{field}.{i}") for i, filter in enumerate(asked)
        )
    )


def _check_templates(filter: str, device_id: str | None) -> None:
    for found in _TEMPLATE.findall(filter):
        if found not in (DEVICE, CLIENT):
            raise Refused("filter.invalid", f"{found} stands for nothing: there are {DEVICE} and {CLIENT}")
    if DEVICE in filter and device_id is None:
        raise Refused("filter.invalid", f"{DEVICE}: this credential has no device")


def _prefixed(organization: str, device_id: str | None, filter: str, field: str) -> str:
    try:
        _check_templates(filter, device_id)
        check_filter(expanded((filter,), device_id, _SAMPLE_CLIENT)[0])
        first = filter.split("/", 1)[0]
        if first != organization:
            if _ORGANIZATION.fullmatch(first):
                raise Refused("acl.outside", f"{first} is not the topic space of this organization")
            filter = f"{organization}/{filter}"
            # again: the prefix counts towards length and levels
            check_filter(expanded((filter,), device_id, _SAMPLE_CLIENT)[0])
    except Refused as refused:
        raise Refused(refused.code, f"{filter}: {refused.detail}", field=field) from None
    return filter
