"""Which filters a credential gets: the defaults, or those asked for, with the organization's prefix; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from contracts.acl import publish_subjects
from contracts.failures import Refused
from contracts.topics import check_filter

_ORGANIZATION = re.compile(r"org_[^/]*")
PUBLISH_ROOTS = ("devices", "commands")


def publish_filters(organization: str, device_id: str | None, asked: Sequence[str] | None) -> tuple[str, ...]:
    """Refuses (`filter.invalid`, `acl.outside`) what cannot be published to."""
    if asked is None:
        asked = [f"devices/{device_id}/#" if device_id else "devices/#"]
    filters = _whole(organization, asked, "publish")
    for index, filter in enumerate(filters):
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
    return _whole(organization, asked, "subscribe")


def _whole(organization: str, asked: Sequence[str], field: str) -> tuple[str, ...]:
    """The filters with the organization's prefix, each once."""
    return tuple(
        dict.fromkeys(_prefixed(organization, filter, f"{field}.{i}") for i, filter in enumerate(asked))
    )


def _prefixed(organization: str, filter: str, field: str) -> str:
    try:
        check_filter(filter)
        first = filter.split("/", 1)[0]
        if first != organization:
            if _ORGANIZATION.fullmatch(first):
                raise Refused("acl.outside", f"{first} is not the topic space of this organization")
            filter = f"{organization}/{filter}"
            check_filter(filter)  # the prefix counts towards length and levels
    except Refused as refused:
        raise Refused(refused.code, f"{filter}: {refused.detail}", field=field) from None
    return filter
