"""Every kind of activity that is written, as data: which way it goes, what it means. docs/guides/activity.md shows it.

`in`: of devices and brokers to us. `out`: of us to devices, brokers and webhooks. `own`: by people, by their
programs, or by the platform itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

Direction = Literal["in", "out", "own"]


class KindOf(NamedTuple):
    direction: Direction
    words: str


_OWN = {
    # organizations, keys, credentials: events of the registry
    "organization.created": "An organization began",
    "organization.deleted": "An organization ended",
    "organization.limits-changed": "Its limits were set",
    "organization.retention-changed": "How long its readings are kept was set",
    "admin-key.rotated": "The operator's key was replaced",
    "api-key.issued": "An API key was issued",
    "api-key.revoked": "An API key was revoked",
    "credential.issued": "A credential was issued",
    "credential.imported": "A credential was taken over with its user name and password",
    "credential.renamed": "A credential has another name",
    "credential.rotated": "A credential has a new password",
    "credential.acl-changed": "A credential's filters were changed",
    "credential.limits-changed": "A credential's limits were set",
    "credential.certificate-bound": "A client certificate belongs to a credential",
    "credential.certificate-unbound": "A client certificate belongs to it no longer",
    "credential.expiry-changed": "A credential ends at another time",
    "credential.expired": "A credential's time is over",
    "credential.revoked": "A credential was revoked",
    "secrets.rotated": "The key that wraps stored secrets was replaced",
    # integrations and how they are read
    "integration.created": "An integration was made",
    "integration.changed": "An integration was changed",
    "integration.hosted-changed": "How the hosted broker's messages are read was changed",
    "integration.paused": "An integration was paused",
    "integration.resumed": "An integration was resumed",
    "integration.watch-changed": "How long it may be silent was set",
    "integration.deleted": "An integration was deleted",
    "decoder.quarantined": "An expression is not run for a while: it took too long, or too much",
    "decoder.released": "An expression is run again",
    "metric.described": "What a metric means was set",
    "metric.cleared": "What people said of a metric was taken back",
    "redecode.ordered": "History is to be decoded again",
    "redecode.retry-ordered": "Dead letters are to be decoded again",
    "redecode.ended": "History was decoded again, or that ended otherwise",
    "dead-letters.retried": "Dead letters were tried again",
    "dead-letters.discarded": "Dead letters were discarded",
    # devices
    "device.described": "A device was named, tagged, described, hidden or shown",
    "device.forgotten": "A device was forgotten, and its data is erased",
    # alerts and webhooks
    "alert-rule.created": "An alert rule was made",
    "alert-rule.changed": "An alert rule was changed",
    "alert-rule.deleted": "An alert rule was deleted",
    "alert.opened": "An alert began",
    "alert.acknowledged": "Somebody takes care of an alert",
    "alert.resolved": "An alert ended",
    "webhook.created": "A webhook was made",
    "webhook.changed": "A webhook was changed",
    "webhook.paused": "A webhook was paused",
    "webhook.resumed": "A webhook was resumed",
    "webhook.secret-rotated": "A webhook has a new secret",
    "webhook.deleted": "A webhook was deleted",
    # the platform of itself; the operator's
    "log.trimmed": "A log let messages go before they were read",
    "log.epoch_changed": "A log is not the one that it was: it was restored, or made anew",
    "activity.left-out": "Entries could not be stored while the log was away: how many",
}
_IN = {
    "device.connected": "A device connected to the hosted broker",
    "device.disconnected": "A device's connection ended, with what it sent and got",
    "device.refused": "A connect, publish or subscription was refused; a flood is counted",
    "limit.exceeded": "A limit was reached",
    "hosted.dropped": "Messages of the hosted broker could not be stored: how many",
    "hosted.overload": "QoS 0 messages came faster than the log takes them: how many",
    "link.dropped": "Messages of an integration could not be stored: how many",
    "dead-letter.written": "Messages could not be decoded: the first at once, then how many a minute",
}
_OUT = {
    "credential.disconnected": "A credential's connections were closed by hand",
    "integration.tested": "A connection test",
    "link.up": "An integration's broker is connected",
    "link.down": "The connection to an integration's broker ended",
    "link.refused": "An integration's broker turns us away",
    "link.degraded": "The connection stands, and something of it does not work",
    "link.recovered": "What did not work works again",
    "link.silent": "No messages come, for longer than is usual",
    "link.flowing": "Messages come again",
    "link.paused": "The connection was closed by hand",
    "link.resumed": "The connection is wanted again",
    "link.unverified": "The broker's certificate is not verified",
    "link.subscribed": "Subscriptions of a running connection were changed",
    "link.subscription-refused": "The broker refuses a subscription",
    "publish.ok": "A message was published: the first ones of a minute each, then how many",
    "publish.failed": "A message could not be published: each",
    "command.answered": "A device answered a command",
    "command.expired": "A command was not delivered, or not answered, in its time",
    "command.failed": "A command could not be sent",
    "webhook.failing": "Calls of a webhook fail",
    "webhook.recovered": "Calls of a webhook work again",
    "webhook.delivery-dead": "A call of a webhook was given up",
    "webhook.gap": "Messages had left the log before a webhook was called with them",
}
_TABLES: tuple[tuple[Direction, Mapping[str, str]], ...] = (("own", _OWN), ("in", _IN), ("out", _OUT))
KINDS: Mapping[str, KindOf] = MappingProxyType(
    {kind: KindOf(direction, words) for direction, table in _TABLES for kind, words in table.items()}
)


def direction_of(kind: str) -> Direction:
    """`own` for one that is not written any more."""
    found = KINDS.get(kind)
    return "own" if found is None else found.direction


def kinds_of(direction: Direction) -> tuple[str, ...]:
    return tuple(kind for kind, held in KINDS.items() if held.direction == direction)
