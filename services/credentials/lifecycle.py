"""What may happen to a credential between its issue and its end: new name, new secret, other filters; pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from contracts.credentials import (
    ChangeAcl,
    ChangeExpiry,
    CredentialAclChanged,
    CredentialExpired,
    CredentialExpiryChanged,
    CredentialRenamed,
    CredentialRotated,
    RenameCredential,
    RotateCredential,
)
from contracts.envelope import Event
from contracts.failures import Refused
from contracts.organizations import AdminKeyRotated, RotateAdminKey
from services.credentials.decider import NewSecret, check_expiry
from services.credentials.filters import all_covered, publish_filters, subscribe_filters
from services.credentials.states.credential import Credential
from services.credentials.states.keys import AdminKey


def decide_rename(command: RenameCredential, held: Credential) -> list[Event]:
    """Also of one that has ended: people look for it in lists."""
    if held.status == "absent":
        raise Refused("not_found")
    return [] if held.name == command.name else [CredentialRenamed(name=command.name)]


def decide_rotation(
    command: RotateCredential, held: Credential, now: datetime, secret: NewSecret
) -> list[Event]:
    _require_usable(held, now)
    until = now + timedelta(seconds=command.grace_seconds) if command.grace_seconds else None
    rotated = CredentialRotated(
        verifier=secret.verifier,
        hint=secret.hint,
        previous_until=until,
        broker_verifier=secret.broker_verifier,
    )
    return [rotated]


def decide_acl(command: ChangeAcl, held: Credential, now: datetime) -> list[Event]:
    _require_usable(held, now)
    organization, device = command.organization, held.device_id
    changed = CredentialAclChanged(
        publish=held.publish
        if command.publish is None
        else publish_filters(organization, device, command.publish),
        subscribe=held.subscribe
        if command.subscribe is None
        else subscribe_filters(organization, device, command.subscribe),
    )
    return [] if held.evolve(changed) == held else [changed]


def decide_expiry_change(command: ChangeExpiry, held: Credential, now: datetime) -> list[Event]:
    _require_usable(held, now)
    if held.expires_at == command.expires_at:
        return []
    check_expiry(command.expires_at, now)
    return [CredentialExpiryChanged(expires_at=command.expires_at)]


def decide_admin_key(
    command: RotateAdminKey, held: AdminKey, configured: str, now: datetime, secret: NewSecret
) -> list[Event]:
    """What holds now (the configured key before the first rotation, or for recovery) is replaced."""
    holding = [
        each
        for each in dict.fromkeys((held.verifier, configured))
        if each and held.holds(each, configured, now)
    ]
    until = now + timedelta(seconds=command.grace_seconds) if command.grace_seconds else None
    rotated = AdminKeyRotated(
        verifier=secret.verifier, hint=secret.hint, replaced=tuple(holding), replaced_until=until
    )
    return [rotated]


def decide_expiry(held: Credential, now: datetime) -> list[Event]:
    """Nobody's command: time did it."""
    over = held.status == "active" and held.expires_at is not None and held.expires_at <= now
    if not over or held.expiry_recorded:
        return []
    assert held.expires_at is not None
    return [CredentialExpired(expires_at=held.expires_at)]


def narrowed(before: Credential, after: Credential) -> bool:
    """Whether something that was allowed is no longer: then connections made before must end."""
    if before.certificate is not None and before.certificate != after.certificate:
        return True
    return not (all_covered(before.publish, after.publish) and all_covered(before.subscribe, after.subscribe))


def _require_usable(held: Credential, now: datetime) -> None:
    if held.status == "absent":
        raise Refused("not_found")
    if held.status == "ended":
        raise Refused("credential.revoked", "issue a new credential")
    if held.expires_at is not None and held.expires_at <= now:
        raise Refused("credential.expired", "issue a new credential")
