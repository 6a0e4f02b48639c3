"""Every failure has a family, which decides its fate, and a code, which never changes.

========== ============================ ==================== =====================
family     means                        in a handler         over HTTP
========== ============================ ==================== =====================
Refused    the caller asked for a thing answer, never retry  its 4xx
           that may not be
Unprocess- this data can never be read  dead letter          422
able
Unavail-   something that we need is    try again later      503 with Retry-After
able       not there at the moment                           (or its own 5xx)
========== ============================ ==================== =====================
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple


class Meaning(NamedTuple):
    """What a code stands for, to machines (`status`) and to people (`title`)."""

    status: int
    title: str


class Failure(Exception):
    """Base of the three families; raise one of those.

    `code` is stable and for machines; `detail` is for the person who reads it and says what to do;
    `field` names the offending input (a path like `settings.port`), where there is one.
    """

    family: ClassVar[str] = "failure"

    def __init__(self, code: str, detail: str = "", *, field: str | None = None, **extra: Any) -> None:
        if code not in CODES:
            raise KeyError(f"unknown failure code {code!r}: add it to contracts/failures.py")
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.field = field
        self.extra = extra

    @property
    def meaning(self) -> Meaning:
        return CODES[self.code]

    def as_dict(self) -> dict[str, Any]:
        """The form in which a failure travels in a reply."""
        return {
            "family": self.family,
            "code": self.code,
            "detail": self.detail,
            "field": self.field,
            "extra": self.extra,
        }


class Refused(Failure):
    family = "refused"


class Unprocessable(Failure):
    family = "unprocessable"


class Unavailable(Failure):
    family = "unavailable"


FAMILIES: dict[str, type[Failure]] = {f.family: f for f in (Refused, Unprocessable, Unavailable)}


def from_dict(data: dict[str, Any]) -> Failure:
    """The failure that `as_dict` described."""
    family = FAMILIES.get(data["family"], Unavailable)
    return family(data["code"], data.get("detail", ""), field=data.get("field"), **data.get("extra", {}))


CODES: dict[str, Meaning] = {
    # who is asking
    "key.missing": Meaning(401, "No credentials were sent"),
    "key.invalid": Meaning(401, "The key is not valid"),
    "scope.missing": Meaning(403, "The key lacks a scope"),
    "session.ended": Meaning(401, "The session has ended"),
    "session.foreign": Meaning(403, "The session is for the console's own pages"),
    # what was asked for
    "not_found": Meaning(404, "No such object"),
    "route.unknown": Meaning(404, "No such address"),
    "method.not_allowed": Meaning(405, "This address does not take this method"),
    "media_type.unsupported": Meaning(415, "The content type is not supported"),
    "request.malformed": Meaning(400, "The request cannot be read"),
    "request.invalid": Meaning(422, "The request does not have the right form"),
    "request.too_large": Meaning(413, "The request is too large"),
    "cursor.invalid": Meaning(400, "The cursor is not valid"),
    "idempotency.reused": Meaning(422, "This Idempotency-Key was used with another request"),
    "idempotency.running": Meaning(409, "A request with this Idempotency-Key is still running"),
    "name.taken": Meaning(409, "The name is already in use"),
    "conflict": Meaning(409, "Somebody else changed this at the same time"),
    "limit.reached": Meaning(429, "A limit is reached"),
    "rebuild.running": Meaning(409, "A rebuild is under way"),
    "redecode.running": Meaning(409, "A redecode is under way"),
    "redecode.ended": Meaning(409, "The redecode has ended"),
    "retention.exceeded": Meaning(422, "What this is computed of is kept no longer"),
    # entities
    "organization.deleted": Meaning(409, "The organization is deleted"),
    "credential.exists": Meaning(409, "The credential exists already"),
    "credential.revoked": Meaning(409, "The credential is revoked"),
    "credential.expired": Meaning(409, "The credential is expired"),
    "certificate.invalid": Meaning(422, "The certificate or its key cannot be used"),
    "expiry.past": Meaning(422, "The expiry lies in the past"),
    "acl.outside": Meaning(422, "The filter lies outside the organization's topic space"),
    "integration.hosted": Meaning(409, "The hosted integration cannot be changed in this way"),
    "alert.resolved": Meaning(409, "The alert is over"),
    "alert_rule.built_in": Meaning(409, "The built-in alert rule cannot be changed in this way"),
    "secret.unreadable": Meaning(500, "A stored secret cannot be decrypted"),
    # topics and payloads
    "topic.invalid": Meaning(422, "The topic is not valid"),
    "filter.invalid": Meaning(422, "The topic filter is not valid"),
    "filter.forbidden": Meaning(403, "This credential may not subscribe to this filter"),
    "topic.forbidden": Meaning(403, "This credential may not publish to this topic"),
    "payload.too_large": Meaning(413, "The payload is too large"),
    "payload.empty": Meaning(422, "The payload is empty"),
    "payload.not_json": Meaning(422, "The payload is not valid JSON"),
    "payload.not_cbor": Meaning(422, "The payload is not valid CBOR"),
    "payload.not_senml": Meaning(422, "The payload is not a SenML pack"),
    "payload.not_sparkplug": Meaning(422, "The payload is not a Sparkplug B payload"),
    "payload.not_text": Meaning(422, "The payload is not text in the expected encoding"),
    "payload.too_deep": Meaning(422, "The payload is nested too deeply"),
    "payload.too_many": Meaning(422, "The payload holds too many values"),
    "payload.unsupported": Meaning(422, "The payload has a form that the decoder does not know"),
    "value.not_finite": Meaning(422, "A value is not a finite number"),
    "value.invalid": Meaning(422, "A value cannot be stored"),
    "value.too_large": Meaning(422, "A value is too large"),
    "metric.invalid": Meaning(422, "A metric name is not valid"),
    "metric.ambiguous": Meaning(422, "Two values have the same metric name"),
    "device.unknown": Meaning(422, "Neither topic nor payload names the device"),
    "device.invalid": Meaning(422, "The device id is not valid"),
    "path.unmatched": Meaning(422, "The message does not fit a path of the decoder's settings"),
    "decoder.unknown": Meaning(422, "No decoder has this name"),
    "decoder.failed": Meaning(422, "The decoder's expression failed on this message"),
    "decoder.result": Meaning(422, "The decoder's expression gave something that is no result"),
    "decoder.timeout": Meaning(422, "The decoder's expression took too long"),
    "decoder.crashed": Meaning(
        422, "The decoder's expression took too much memory, or brought down its process"
    ),
    "decoder.quarantined": Meaning(422, "The decoder's expression misbehaved, and rests"),
    "decoder.unavailable": Meaning(503, "Expressions cannot be evaluated at the moment"),
    "decoder.settings": Meaning(422, "The decoder does not take these settings"),
    "decoder.alias_unknown": Meaning(422, "A Sparkplug alias has no birth that explains it"),
    "event.unreadable": Meaning(500, "A stored event cannot be read"),
    # MQTT connections, as a device sees them (reasons in activity)
    "connect.unknown": Meaning(401, "No such credential, or a wrong password"),
    "connect.revoked": Meaning(401, "The credential is revoked"),
    "connect.expired": Meaning(401, "The credential is expired"),
    "connect.certificate": Meaning(401, "The certificate is not bound to the credential"),
    "connect.client_id": Meaning(401, "The client id does not belong to the credential"),
    "connect.protocol": Meaning(401, "Devices connect by MQTT"),
    "connect.limit": Meaning(429, "A limit of the organization or the credential is reached"),
    "connect.flood": Meaning(429, "Too many bad connects: more are only counted"),
    "connect.not_ready": Meaning(503, "The hosted broker is starting"),
    # external brokers
    "broker.unreachable": Meaning(502, "The broker cannot be reached"),
    "broker.refused": Meaning(502, "The broker refused"),
    "broker.timeout": Meaning(504, "The broker did not answer in time"),
    "broker.closed": Meaning(502, "The broker hung up"),
    "broker.not_mqtt": Meaning(502, "What answered speaks no MQTT"),
    "broker.tls_expected": Meaning(502, "This port takes TLS"),
    "broker.websocket_expected": Meaning(502, "This port takes WebSockets"),
    "broker.credentials": Meaning(502, "The broker does not let this user in"),
    "broker.client_id": Meaning(502, "The broker refuses the client id"),
    "broker.version": Meaning(502, "The broker does not take this version of MQTT"),
    "broker.busy": Meaning(502, "The broker takes no clients at the moment"),
    "subscription.refused": Meaning(502, "The broker refuses a subscription"),
    "subscription.silent": Meaning(502, "The broker took the message and did not deliver it"),
    "publish.refused": Meaning(502, "The broker refuses a publish"),
    "address.forbidden": Meaning(422, "This address may not be connected to"),
    "tls.plaintext": Meaning(502, "What answered speaks no TLS"),
    "tls.closed": Meaning(502, "The connection ended during the TLS handshake"),
    "tls.protocol": Meaning(502, "No version and cipher of TLS in common"),
    "tls.untrusted": Meaning(502, "The broker's certificate is not trusted"),
    "tls.expired": Meaning(502, "The broker's certificate is expired, or not valid yet"),
    "tls.name": Meaning(502, "The broker's certificate is for another name"),
    "tls.alpn": Meaning(502, "The broker speaks none of the offered protocols"),
    "tls.certificate": Meaning(422, "A certificate or key cannot be used"),
    "tls.client_certificate_required": Meaning(502, "The broker demands a client certificate"),
    "tls.client_certificate_rejected": Meaning(502, "The broker rejects our client certificate"),
    "tls.failed": Meaning(502, "TLS failed"),
    "websocket.refused": Meaning(502, "The request for a WebSocket was refused"),
    "websocket.invalid": Meaning(502, "What answered speaks no WebSocket"),
    "websocket.closed": Meaning(502, "The broker closed the WebSocket"),
    "link.down": Meaning(502, "The integration is not connected"),
    "link.silent": Meaning(504, "No messages have come for longer than is usual"),
    "broker.dropping": Meaning(502, "The broker drops messages"),
    "format.unavailable": Meaning(501, "This server cannot write the format"),
    # webhooks
    "webhook.unreachable": Meaning(502, "The receiver cannot be reached"),
    "webhook.timeout": Meaning(504, "The receiver did not answer in time"),
    "webhook.insecure": Meaning(422, "This address takes https only"),
    "webhook.redirected": Meaning(502, "The receiver redirects, which is not followed"),
    "webhook.gone": Meaning(502, "The receiver wants no more"),
    "webhook.refused": Meaning(502, "The receiver did not answer with 2xx"),
    "webhook.not_http": Meaning(502, "What answered speaks no HTTP"),
    "webhook.message_gone": Meaning(410, "The log holds it no longer"),
    "webhook.of_subscription": Meaning(409, "The webhook belongs to a subscription"),
    "webhook.paused": Meaning(409, "The webhook is paused"),
    # ourselves
    "service.unavailable": Meaning(503, "A service is not available at the moment"),
    "log.unavailable": Meaning(503, "The event log is not available at the moment"),
    "store.unavailable": Meaning(503, "The database is not available at the moment"),
    "internal": Meaning(500, "Something went wrong on our side"),
}
