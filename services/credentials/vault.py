"""Secrets of integrations and webhooks: ciphertext in the bucket SECRETS, under the reference that an event carries.

What is deleted here is gone: the log never held it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from contracts.failures import Refused, Unprocessable
from runtime.kv import Bucket
from runtime.observe import log
from services.credentials import holders
from services.credentials.directory import Directory
from services.credentials.sealing import Sealing

_log = log(part="vault")
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,31}")
VALUE_CHARS_MAX = 8192  # a private key with its chain
ORPHAN_AGE = timedelta(minutes=10)  # by then, what wrote it has long appended its event or died


def new_references(organization: str, entity: str, values: Mapping[str, SecretStr]) -> dict[str, str]:
    """A reference for each secret: `<org>.<entity>.<field>.<version>`; no version is used twice."""
    for field, value in values.items():
        if not _FIELD.fullmatch(field):
            raise Refused("request.invalid", "no such secret", field="secrets")
        if not 0 < len(value.get_secret_value()) <= VALUE_CHARS_MAX:
            detail = f"a secret has 1 to {VALUE_CHARS_MAX} characters"
            raise Refused("request.invalid", detail, field=f"secrets.{field}")
    return {field: f"{organization}.{entity}.{field}.{secrets.token_hex(8)}" for field in values}


class Vault:
    def __init__(self, bucket: Bucket, sealing: Sealing) -> None:
        self._bucket, self._sealing = bucket, sealing

    async def put(self, reference: str, value: SecretStr) -> None:
        """Again with the same reference changes nothing."""
        sealed = self._sealing.seal(value.get_secret_value().encode(), context_of_secret(reference))
        await self._bucket.put(reference, sealed, expected=0)

    async def read(self, reference: str) -> SecretStr:
        """Raises Unprocessable("secret.unreadable")."""
        value = await self._bucket.get(reference)
        if value is None:
            raise Unprocessable("secret.unreadable", f"{reference} has been deleted")
        return SecretStr(self._sealing.open(value.data, context_of_secret(reference)).decode())

    async def erase(self, reference: str) -> None:
        if await self._bucket.get(reference) is not None:
            await self._bucket.delete(reference)

    async def sweep(self, directory: Directory, prefix: str = "") -> int:
        """Erases what nothing holds any more (its deleter may have been killed); says how many."""
        erased = 0
        for reference in await self._bucket.keys(prefix):
            organization, entity, field, _ = context_of_secret(reference)
            owner = directory.organizations.by_id.get(organization)
            ended = owner is not None and owner.state.status == "ended"
            ended = ended or holders.has_ended(directory, organization, entity)
            if not ended and holders.holds(directory, organization, entity, field, reference):
                continue
            value = await self._bucket.get(reference)
            if value is not None and (ended or datetime.now(UTC) - value.written > ORPHAN_AGE):
                await self._bucket.delete(reference)
                erased += 1
        if erased:
            _log.info("secrets erased", count=erased)
        return erased


def context_of_secret(reference: str) -> tuple[str, ...]:
    """What a secret is sealed to."""
    return tuple(reference.split("."))
