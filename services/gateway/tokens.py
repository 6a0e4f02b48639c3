"""Bearer tokens of an OpenID issuer (JWT, RFC 7519, by the advice of RFC 8725), where the operator names one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

from contracts.failures import Refused
from contracts.organizations import ALL_SCOPES, Principal, Scope
from services.gateway.issuer_keys import ALGORITHMS, IssuerKeys

LEEWAY_S = 10  # clocks differ
HEADER_BYTES_MAX = 4096
ORGANIZATION = re.compile(r"org_[a-z0-9]{16}")
_FORM = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_SUBJECT = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose tokens are taken, and what they say by which claim."""

    issuer: str
    audience: str
    organization_claim: str = "organization"
    scopes_claim: str = "scope"


class _Registry(JWSRegistry):
    max_header_length = HEADER_BYTES_MAX  # some issuers send their certificates along


class Tokens:
    """`principal` is who a token speaks for; whether the organization exists is asked elsewhere."""

    def __init__(self, trust: Trust, keys: IssuerKeys, *, clock: Callable[[], float] = time.time) -> None:
        self._trust, self._keys, self._clock = trust, keys, clock
        self._claims = JWTClaimsRegistry(
            now=lambda: int(clock()),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": trust.issuer},
            aud={"essential": True, "value": trust.audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    async def principal(self, token: str) -> Principal:
        """Raises Refused("key.invalid"), or Unavailable when the issuer's keys cannot be had."""
        header = _header(token)
        algorithm, id = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS or not isinstance(id, str | None):
            raise Refused("key.invalid", f"the token must be signed with one of {', '.join(ALGORITHMS)}")
        key = await self._keys.find(algorithm, id)
        registry = _Registry(algorithms=[algorithm], strict_check_header=False)
        try:
            with warnings.catch_warnings(category=SecurityWarning, action="ignore"):  # of the name EdDSA
                claims = jwt.decode(token, key, algorithms=[algorithm], registry=registry).claims
            self._claims.validate(claims)
        except (JoseError, ValueError, TypeError) as error:
            raise Refused("key.invalid", f"the token is not valid here: {_reason(error)}") from error
        return self._spoken_for(claims)

    def _spoken_for(self, claims: dict[str, Any]) -> Principal:
        organization = claims.get(self._trust.organization_claim)
        if not isinstance(organization, str) or not ORGANIZATION.fullmatch(organization):
            claim = self._trust.organization_claim
            raise Refused("key.invalid", f"the token names no organization in its claim `{claim}`")
        try:
            expires_at = datetime.fromtimestamp(claims["exp"] + LEEWAY_S, UTC)
        except (OverflowError, ValueError, OSError):
            raise Refused("key.invalid", "the token's expiry is no time") from None
        return Principal(
            organization=organization,
            actor=f"oidc:{_subject(claims['sub'])}",
            scopes=_scopes(claims.get(self._trust.scopes_claim)),
            expires_at=expires_at,
        )


def looks_like_token(value: str) -> bool:
    """Whether it has the form of a signed JWT."""
    return _FORM.fullmatch(value) is not None


def _header(token: str) -> dict[str, Any]:
    try:
        encoded = token.split(".", 1)[0]
        found = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        raise Refused("key.invalid", "the token cannot be read") from None
    if not isinstance(found, dict):
        raise Refused("key.invalid", "the token cannot be read")
    return found


def _scopes(claim: object) -> tuple[Scope, ...]:
    """Of a string with spaces (RFC 8693 §4.2) or a list; what is no scope of ours is left out."""
    named = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else ()
    return tuple(scope for scope in ALL_SCOPES if scope in named)


def _subject(subject: str) -> str:
    """It goes into headers of events: an unusual one goes by its hash."""
    if _SUBJECT.fullmatch(subject):
        return subject
    return hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()


def _reason(error: Exception) -> str:
    """What a caller may know: which claim, not our expectations."""
    return error.description or error.error if isinstance(error, JoseError) else "it cannot be read"
