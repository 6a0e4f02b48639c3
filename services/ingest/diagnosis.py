"""What a step of a connection test saw, explained. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import NamedTuple

from contracts.broker_settings import BrokerSettings
from contracts.failures import Failure
from services.ingest.certificates import CertificateSeen
from services.ingest.findings import NEXT, Finding, finding, of_failure
from services.ingest.packets import ASSIGNED_CLIENT_ID, MAXIMUM_QOS, SERVER_KEEP_ALIVE, Connack
from services.ingest.reasons import printable, refusal
from services.ingest.tls import Seen

EXPIRES_SOON = timedelta(days=21)  # most authorities' certificates are renewed 30 days before


class Speaks(NamedTuple):
    """What a port answers to: found out by greeting it in each way."""

    tls: bool = False
    mqtt: bool = False
    http_status: int | None = None  # of the answer to a request for a WebSocket

    @property
    def websocket(self) -> bool:
        return self.http_status == 101


_OTHERS = (
    (re.compile(rb"SSH-"), "an SSH server"),
    (re.compile(rb"AMQP"), "an AMQP broker (its port for AMQP, not for MQTT)"),
    (re.compile(rb"220[ -]"), "a mail or FTP server"),
    (re.compile(rb"(\* |\+)OK"), "a mail server"),
    (re.compile(rb"INFO \{"), "a NATS server (its client port, not the one for MQTT)"),
    (re.compile(rb"-(ERR|DENIED|NOAUTH)|\+PONG"), "a Redis server"),
)


def what_spoke(first: bytes) -> str | None:
    """What says this first, if it is known."""
    if (web := re.match(rb"HTTP/\d\.\d (\d{3})", first)) is not None:
        return f"a web server (HTTP {web[1].decode()})"
    if first[:1] == b"<":
        return "a web server"
    if is_tls(first):
        return "TLS"
    return next((words for pattern, words in _OTHERS if pattern.match(first)), None)


def is_tls(first: bytes) -> bool:
    """A record of TLS (RFC 8446 §5.1): an alert or a handshake, of a version that was ever there."""
    return len(first) >= 3 and first[0] in (0x15, 0x16) and first[1] == 3 and first[2] <= 4


def no_mqtt(settings: BrokerSettings, first: bytes, speaks: Speaks) -> Finding:
    """Something answered, and it was no MQTT."""
    spoke = what_spoke(first)
    if spoke == "TLS" and settings.tls is None:
        return tls_expected(settings)
    if spoke is not None and spoke.startswith("a web server"):
        return _web(settings, f"no MQTT: {spoke}", speaks)
    if spoke is not None:
        return finding("broker.not_mqtt", f"no MQTT: {spoke} answered")
    begin = " ".join(f"{byte:02x}" for byte in first[:8])
    return finding("broker.not_mqtt", f"what answered is no MQTT: it begins with {begin}")


def _web(settings: BrokerSettings, seen: str, speaks: Speaks) -> Finding:
    protocol = "wss" if settings.tls is not None else "ws"
    if speaks.websocket:
        action = f"This port takes WebSockets: choose the protocol `{protocol}`, with the `path` /mqtt."
        return finding("broker.websocket_expected", seen, action)
    action = (
        f"{NEXT['broker.not_mqtt']} Where MQTT is behind this web server, choose `{protocol}` and its `path`."
    )
    return finding("broker.not_mqtt", seen, action)


def no_connack(settings: BrokerSettings, speaks: Speaks, *, silent: bool, waited_s: float) -> Finding:
    """Nothing answered; `speaks` is what the port said to other greetings."""
    if settings.protocol == "mqtt" and speaks.tls:
        return tls_expected(settings)
    if speaks.http_status is not None:
        return _web(settings, f"no MQTT: a web server (HTTP {speaks.http_status})", speaks)
    if silent:
        return finding("broker.timeout", f"connected, and no CONNACK within {waited_s:g} s")
    if settings.auth == "aws_iot":
        action = (
            "Activate the certificate in AWS IoT Core, and attach a policy to it that allows iot:Connect for the "
            "client id."
        )
        return finding("broker.closed", "it hung up instead of a CONNACK, as AWS IoT Core does", action)
    action = "Choose the other `mqtt_version`, or look into the broker's log: it hung up without saying why."
    return finding("broker.closed", "it hung up instead of a CONNACK", action)


def no_tls(failure: Failure, speaks: Speaks) -> Finding:
    """The TLS handshake failed; `speaks` where the peer did not say itself that it is none."""
    if failure.code in ("tls.closed", "broker.timeout", "tls.plaintext") and speaks.mqtt:
        seen = "an MQTT broker answers on this port, without TLS"
        return finding(
            "tls.plaintext", seen, "This port takes no TLS: choose `mqtt`, or the port for TLS (8883)."
        )
    if failure.code in ("tls.closed", "broker.timeout") and speaks.http_status is not None:
        return finding("tls.plaintext", "a web server answers on this port, without TLS")
    if failure.code == "broker.timeout":
        return finding("broker.timeout", failure.detail)
    return of_failure(failure, "tls.failed")


def not_believed(failure: Failure, shown: Seen | None, *, own_authority: bool) -> Finding:
    """A certificate that was refused, with what it says of itself. `own_authority`: `tls.ca` named one."""
    if shown is None or not shown.chain:
        return of_failure(failure, "tls.failed")
    held = shown.chain[0]
    action = None
    if failure.code == "tls.name" and held.names:
        names = ", ".join(held.names[:5])
        action = f"Connect by a name that it is for ({names}), or put that name into `tls.server_name`."
    if failure.code == "tls.untrusted" and own_authority:
        action = f"`tls.ca` holds another authority: put {held.issuer} there, which signed the broker's certificate."
    if failure.code == "tls.untrusted" and held.subject == held.issuer:
        action = "It is self-signed: put the broker's own certificate (PEM) into `tls.ca`."
    return finding(failure.code, f"{failure.detail}: {certificate(held)}", action)


def certificate(held: CertificateSeen) -> str:
    until = f", valid until {held.not_after:%Y-%m-%d}" if held.not_after else ""
    names = f", for {', '.join(held.names[:5])}" if held.names else ""
    return f"{held.subject} by {held.issuer}{names}{until}"


def tls_passed(seen: Seen, *, verify: bool, now: datetime) -> str:
    words = f"{seen.version}, {seen.cipher}"
    if seen.alpn:
        words += f", ALPN {seen.alpn}"
    if seen.chain:
        words += f"; {certificate(seen.chain[0])}"
        until = seen.chain[0].not_after
        if until is not None and now <= until < now + EXPIRES_SOON:
            words += f"; IT EXPIRES IN {(until - now).days} DAYS"
    if not verify:
        words += "; NOT VERIFIED: `tls.verify` is off, whoever is in between could be this broker"
    return words


def no_websocket(settings: BrokerSettings, failure: Failure, speaks: Speaks) -> Finding:
    status = failure.extra.get("http_status")
    if status is not None:
        action = {
            401: "The web server in front asks for a login: let it pass the WebSocket on without.",
            403: "The web server in front forbids it: allow the path, and our Origin-less request.",
            404: "The web server has nothing at this `path`: /mqtt is usual, some brokers have /ws or /.",
            426: "Choose another `path`: this one takes no WebSocket.",
        }.get(status)
        if 300 <= status < 400:
            action = "It redirects: give host, port and path of where it leads to."
        if 200 <= status < 300 and status != 101:
            action = (
                "The web server shows a page at this `path`: choose the one of the WebSocket, mostly /mqtt."
            )
        if status == 400 and settings.tls is None and speaks.tls:
            return tls_expected(settings)
        return finding("websocket.refused", f"{failure.detail} at {settings.path}", action)
    if settings.protocol == "ws" and speaks.tls:
        return tls_expected(settings)
    if settings.protocol == "ws" and speaks.mqtt:
        seen = "an MQTT broker answers on this port, without WebSocket"
        return finding("websocket.invalid", seen, "Choose the protocol `mqtt`, or the port for WebSockets.")
    return of_failure(failure, "websocket.invalid")


def tls_expected(settings: BrokerSettings) -> Finding:
    wanted = "wss" if settings.websocket else "mqtts"
    action = f"This port takes TLS: choose the protocol `{wanted}`."
    return finding(
        "broker.tls_expected", f"a TLS server answers, and {settings.protocol} was asked for", action
    )


def refused(settings: BrokerSettings, packet: str, code: int, said: str, client_id: str) -> Finding:
    """A CONNACK that is none of success, or a DISCONNECT in its place."""
    seen = f"{packet}: {said}"
    kind = refusal(code)
    match kind:
        case "broker.version":
            other = "3.1.1" if settings.mqtt_version == "5" else "5"
            return finding(kind, seen, f"Set `mqtt_version` to {other}.")
        case "broker.client_id":
            action = (
                f"Allow the client id {client_id} (tests have one of their own that begins with hmq-test-)."
            )
            return finding(kind, f"{seen}, for {client_id}", action)
        case "broker.credentials":
            return finding(kind, seen, _credentials(settings, code))
    return finding(kind, seen)


def _credentials(settings: BrokerSettings, code: int) -> str | None:
    match settings.auth:
        case "none":
            return "The broker wants a login: choose the auth `password`, and give `username` and `password`."
        case "client_certificate":
            return "Map the client certificate to a user in the broker, and let this user connect."
        case "azure_sas":
            return "Check `device_id` and `shared_access_key`, and that the device is enabled in the hub."
        case "aws_iot":
            return "Attach a policy that allows iot:Connect for the client id to the certificate."
    return "The broker has banned this user or address: lift that there." if code == 0x8A else None


def accepted(settings: BrokerSettings, reply: Connack, login_name: str, *, unencrypted: bool) -> str:
    words = f"CONNACK: accepted (MQTT {settings.mqtt_version}) as {login_name}"
    held = reply.properties
    if ASSIGNED_CLIENT_ID in held:
        words += f"; it gave the client id {printable(held[ASSIGNED_CLIENT_ID])}"
    if SERVER_KEEP_ALIVE in held:
        words += f"; it wants a keep-alive of {int.from_bytes(held[SERVER_KEEP_ALIVE], 'big')} s"
    if MAXIMUM_QOS in held:
        words += f"; it takes QoS {held[MAXIMUM_QOS][0]} at most"
    if unencrypted:
        words += "; THE PASSWORD WENT UNENCRYPTED"
    return words
