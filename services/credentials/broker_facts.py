"""What a view says of a broker's settings beside them: whose the certificates are, and what is risky. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from contracts import pem
from contracts.broker_base import Tls
from contracts.broker_secrets import AUTHORITY, CLIENT
from contracts.broker_settings import BrokerSettings
from contracts.integrations import CertificateFacts, SettingsWarning

EXPIRING = timedelta(days=30)
UNVERIFIED = "the broker's certificate is not verified: whoever stands between can read, change and send"


def certificates(
    settings: BrokerSettings,
) -> tuple[CertificateFacts | None, tuple[CertificateFacts, ...]]:
    """The client's own, and the authorities."""
    tls = settings.tls or Tls()
    own = [_facts(each) for each in pem.facts(tls.client_certificate or "")[:1]]
    return own[0] if own else None, tuple(_facts(each) for each in pem.facts(tls.ca or ""))


def warnings(settings: BrokerSettings, now: datetime) -> tuple[SettingsWarning, ...]:
    return tuple(_warnings(settings, now))


def _warnings(settings: BrokerSettings, now: datetime) -> Iterator[SettingsWarning]:
    if settings.tls is None:
        if settings.auth == "password":
            detail = f"over {settings.protocol} the password travels unencrypted: use mqtts or wss"
            yield SettingsWarning(code="password.in_clear", field="settings.protocol", detail=detail)
        return
    if not settings.tls.verify:
        yield SettingsWarning(code="tls.unverified", field="settings.tls.verify", detail=UNVERIFIED)
    for certificate in pem.facts(settings.tls.client_certificate or "")[:1]:
        day = f"{certificate.not_after:%Y-%m-%d}"
        if certificate.not_after <= now:
            detail = f"it expired {day}: send a new one with its key"
            yield SettingsWarning(code="certificate.expired", field=CLIENT, detail=detail)
        elif certificate.not_after - now < EXPIRING:
            detail = f"it expires {day}: send a new one with its key before"
            yield SettingsWarning(code="certificate.expiring", field=CLIENT, detail=detail)
        if not certificate.for_clients:
            detail = "its extended key usage does not name client authentication: a broker may refuse it"
            yield SettingsWarning(code="certificate.not_for_clients", field=CLIENT, detail=detail)
    for certificate in pem.facts(settings.tls.ca or ""):
        if certificate.not_after <= now:
            detail = f"{certificate.subject} expired {certificate.not_after:%Y-%m-%d}"
            yield SettingsWarning(code="ca.expired", field=AUTHORITY, detail=detail)
        if not certificate.authority and certificate.subject != certificate.issuer:
            detail = f"{certificate.subject} is no certificate authority: it vouches for nobody"
            yield SettingsWarning(code="ca.no_authority", field=AUTHORITY, detail=detail)


def _facts(read: pem.Read) -> CertificateFacts:
    return CertificateFacts(
        subject=read.subject,
        issuer=read.issuer,
        not_before=read.not_before,
        not_after=read.not_after,
        fingerprint=read.fingerprint,
        key=read.key,
    )
