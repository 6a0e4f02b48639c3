"""Bearer tokens of an OpenID issuer: which are taken, what they may, and what happens when the issuer is away."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from contracts.failures import Failure, Refused, Unavailable
from services.gateway.auth import presented
from services.gateway.issuer_keys import AGAIN_S, FRESH_S, KEPT_S, IssuerKeys, trustworthy
from services.gateway.settings import GatewaySettings
from services.gateway.tokens import LEEWAY_S, Tokens, Trust, looks_like_token
from tests.gateway.issuer import (
    Issuer,
    Signer,
    base64url,
    ec_signer,
    ed_signer,
    parts,
    rsa_signer,
    serving_issuer,
    signed,
    signed_by_secret,
    unsigned,
)
from tests.gateway.peers import ALPHA, BETA
from tests.support.eventually import eventually

NOW = 1_800_000_000
AUDIENCE = "hybridmq"
SIGNERS = {"RS256": rsa_signer("r"), "ES256": ec_signer("e"), "EdDSA": ed_signer("d")}
RSA = SIGNERS["RS256"]


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serving_issuer() as serving:
        serving.keys = [signer.public for signer in SIGNERS.values()]
        yield serving


@pytest.fixture
def steady() -> Clock:
    """Measures how old keys are."""
    return Clock(1000.0)


@pytest.fixture
def wall() -> Clock:
    """Says whether a token is expired."""
    return Clock(NOW)


@pytest.fixture
def tokens(issuer: Issuer, steady: Clock, wall: Clock) -> Tokens:
    return Tokens(Trust(issuer.url, AUDIENCE), IssuerKeys(issuer.url, clock=steady), clock=wall)


def claims(issuer: Issuer, **changed: Any) -> dict[str, Any]:
    """Of a good token; a claim that is None is left out."""
    good = {
        "iss": issuer.url,
        "aud": AUDIENCE,
        "sub": "ada@example.com",
        "exp": NOW + 600,
        "iat": NOW,
        "organization": ALPHA,
        "scope": "openid read publish",
    }
    return {name: value for name, value in (good | changed).items() if value is not None}


async def refused(tokens: Tokens, token: str) -> str:
    """Why it is refused."""
    with pytest.raises(Failure) as caught:
        await tokens.principal(token)
    assert isinstance(caught.value, Refused), caught.value
    assert caught.value.code == "key.invalid"
    return caught.value.detail


@pytest.mark.parametrize("algorithm", SIGNERS)
async def test_a_good_token_speaks_for_its_organization_with_its_scopes(
    tokens: Tokens, issuer: Issuer, algorithm: str
) -> None:
    principal = await tokens.principal(signed(SIGNERS[algorithm], claims(issuer)))
    assert principal.organization == ALPHA
    assert principal.scopes == ("read", "publish")
    assert principal.actor == "oidc:ada@example.com"
    assert principal.expires_at is not None
    assert principal.expires_at.timestamp() == NOW + 600 + LEEWAY_S


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "another"},
        {"aud": ["another", "and another"]},
        {"aud": None},
        {"aud": ""},
        {"aud": {"hybridmq": True}},
        {"iss": "https://another.example"},
        {"iss": None},
        {"exp": NOW - LEEWAY_S},
        {"exp": None},
        {"exp": "never"},
        {"exp": True},
        {"exp": 1e400},
        {"exp": 10**30},
        {"nbf": NOW + LEEWAY_S + 1},
        {"iat": NOW + LEEWAY_S + 1},
        {"sub": None},
        {"sub": 5},
        {"organization": None},
        {"organization": "platform"},
        {"organization": f"{ALPHA}\n"},
        {"organization": [ALPHA]},
        {"organization": ""},
    ],
    ids=str,
)
async def test_a_token_with_a_wrong_claim_is_refused(
    tokens: Tokens, issuer: Issuer, changed: dict[str, Any]
) -> None:
    await refused(tokens, signed(RSA, claims(issuer, **changed)))


@pytest.mark.parametrize(
    ("scope", "held"),
    [
        (["admin", "read"], ("read", "admin")),
        ("manage_credentials", ("manage_credentials",)),
        ("Read READ operator", ()),
        (None, ()),
        (5, ()),
        ([["read"], {}], ()),
    ],
    ids=str,
)
async def test_scopes_are_ours_or_nothing(
    tokens: Tokens, issuer: Issuer, scope: Any, held: tuple[str, ...]
) -> None:
    assert (await tokens.principal(signed(RSA, claims(issuer, scope=scope)))).scopes == held


async def test_the_audience_may_be_one_of_several(tokens: Tokens, issuer: Issuer) -> None:
    await tokens.principal(signed(RSA, claims(issuer, aud=["other", AUDIENCE])))


async def test_clocks_may_differ_a_little(tokens: Tokens, issuer: Issuer, wall: Clock) -> None:
    token = signed(RSA, claims(issuer, nbf=NOW))
    wall.now = NOW - LEEWAY_S
    await tokens.principal(token)
    wall.now = NOW + 600 + LEEWAY_S - 1
    await tokens.principal(token)
    wall.now = NOW + 600 + LEEWAY_S
    await refused(tokens, token)


async def test_a_subject_that_would_break_a_header_goes_by_its_hash(tokens: Tokens, issuer: Issuer) -> None:
    actor = (await tokens.principal(signed(RSA, claims(issuer, sub="a\r\nhmq-actor: admin")))).actor
    assert actor.startswith("oidc:")
    assert actor.removeprefix("oidc:").isalnum()


def _confused(issuer: Issuer) -> dict[str, str]:
    """Tokens that try to choose how they are verified."""
    good = claims(issuer)
    der = base64.b64decode(b"".join(RSA.pem().splitlines()[1:-1]))
    header_and_claims = parts({"alg": "RS256", "kid": "r"}, good).decode()
    return {
        "none": unsigned(good),
        "None": unsigned(good, "None"),
        "no algorithm": parts({"kid": "r"}, good).decode() + ".AAAA",
        "HS256 with the public key as PEM": signed_by_secret(RSA.pem(), good, "r"),
        "HS256 with the public key as DER": signed_by_secret(der, good, "r"),
        "HS256 with an empty secret": signed_by_secret(b"\0", good, "r"),
        "ES256 with an RSA key": signed(SIGNERS["ES256"], good, kid="r"),
        "RS256 with an EC key": signed(RSA, good, kid="e"),
        "RS256 says EdDSA": signed(RSA, good, alg="EdDSA"),
        "RS512": signed(RSA, good, alg="RS512"),
        "PS256": signed(RSA, good, alg="PS256"),
        "algorithm as a list": signed(RSA, good, alg=["RS256"]),
        "key id as a number": signed(RSA, good, kid=1),
        "critical extension": signed(RSA, good, crit=["exp"], exp=1),
        "payload not encoded": signed(RSA, good, b64=False, crit=["b64"]),
        "its own key": signed(rsa_signer("r"), good, jwk=RSA.public),
        "its own key set": signed(rsa_signer("r"), good, jku="http://127.0.0.1:1/keys"),
        "another's signature": signed(rsa_signer("r"), good),
        "no signature": header_and_claims + ".",
        "changed claims": signed(RSA, good).split(".")[0]
        + "."
        + ".".join((parts({}, claims(issuer, organization=BETA)).decode().split(".")[1], "AAAA")),
        "claims that are no object": ".".join(map(base64url, (b'{"alg":"RS256","kid":"r"}', b"[]", b"x"))),
        "header that is no object": ".".join(map(base64url, (b"[]", b"{}", b"x"))),
        "header that is nested": ".".join(map(base64url, (b'{"a":' + b"[" * 2000, b"{}", b"x"))),
    }


async def test_no_token_chooses_how_it_is_verified(tokens: Tokens, issuer: Issuer) -> None:
    for name, token in _confused(issuer).items():
        with pytest.raises(Refused) as caught:
            await tokens.principal(token)
        assert caught.value.code == "key.invalid", name


async def test_a_changed_signature_is_refused(tokens: Tokens, issuer: Issuer) -> None:
    head, _, signature = signed(RSA, claims(issuer)).rpartition(".")
    changed = ("A" if signature[0] != "A" else "B") + signature[1:]
    await refused(tokens, f"{head}.{changed}")


@pytest.mark.parametrize(
    "key",
    [
        {**RSA.public, "use": "enc"},
        {**RSA.public, "alg": "RS512"},
        {**rsa_signer("r", 1024).public},
        {"kty": "oct", "kid": "r", "k": "c2VjcmV0"},
        {"kty": "RSA", "kid": "r"},
        {"kty": "RSA", "kid": "r", "n": 5, "e": "AQAB"},
        {**ec_signer("r").public, "y": "AAAA"},
        "a key",
        None,
    ],
    ids=lambda key: str(key)[:40],
)
async def test_keys_that_are_not_fit_are_passed_over(tokens: Tokens, issuer: Issuer, key: Any) -> None:
    issuer.keys = [key, SIGNERS["EdDSA"].public]
    await refused(tokens, signed(RSA, claims(issuer)))
    await tokens.principal(signed(SIGNERS["EdDSA"], claims(issuer)))


async def test_without_a_key_id_the_only_key_of_its_kind_is_meant(tokens: Tokens, issuer: Issuer) -> None:
    await tokens.principal(_without_id(RSA, issuer))


def _without_id(signer: Signer, issuer: Issuer) -> str:
    data = parts({"alg": signer.algorithm}, claims(issuer))
    return f"{data.decode()}.{base64url(signer.sign(data))}"


# the issuer's keys


async def test_the_keys_are_asked_for_once(tokens: Tokens, issuer: Issuer) -> None:
    await asyncio.gather(*(tokens.principal(signed(RSA, claims(issuer))) for _ in range(20)))
    assert issuer.asked == 1


async def test_a_new_key_is_learnt_when_a_token_names_it_but_not_at_any_rate(
    tokens: Tokens, issuer: Issuer, steady: Clock
) -> None:
    await tokens.principal(signed(RSA, claims(issuer)))
    new = ed_signer("new")
    issuer.keys.append(new.public)
    for _ in range(20):
        await refused(tokens, signed(ed_signer("unknown"), claims(issuer)))
        await refused(tokens, signed(new, claims(issuer)))
    assert issuer.asked == 1
    steady.now += AGAIN_S
    await tokens.principal(signed(new, claims(issuer)))
    assert issuer.asked == 2


async def test_a_withdrawn_key_ends_when_the_keys_are_fetched_again(
    tokens: Tokens, issuer: Issuer, steady: Clock
) -> None:
    token = signed(RSA, claims(issuer))
    await tokens.principal(token)
    issuer.keys = [SIGNERS["EdDSA"].public]
    steady.now += FRESH_S + 1
    await tokens.principal(token)  # nobody waits for the fetch
    await eventually(lambda: issuer.asked == 2)
    steady.now += AGAIN_S

    async def ended() -> bool:  # a moment after the issuer was asked
        try:
            await tokens.principal(token)
        except Refused:
            return True
        return False

    await eventually(ended)


async def test_while_the_issuer_is_away_its_known_keys_go_on(
    tokens: Tokens, issuer: Issuer, steady: Clock
) -> None:
    token = signed(RSA, claims(issuer))
    await tokens.principal(token)
    issuer.status = 500
    steady.now += FRESH_S + 1
    await tokens.principal(token)
    steady.now += AGAIN_S
    with pytest.raises(Unavailable):  # it may be a key that the issuer has just made
        await tokens.principal(signed(ed_signer("new"), claims(issuer)))
    await tokens.principal(token)
    steady.now += KEPT_S
    with pytest.raises(Unavailable):
        await tokens.principal(token)
    issuer.status = 200
    steady.now += AGAIN_S
    await tokens.principal(token)


@pytest.mark.parametrize(
    "broken",
    [
        {"status": 404},
        {"status": 302},
        {"says_issuer": "https://another.example"},
        {"says_keys_at": "http://192.0.2.1/keys"},
        {"says_keys_at": "file:///etc/passwd"},
        {"padding": 300_000},
        {"keys": []},
        {"keys": {}},
        {"url": "http://127.0.0.1:1"},
    ],
    ids=str,
)
async def test_an_issuer_that_cannot_be_read_is_unavailable(
    issuer: Issuer, steady: Clock, wall: Clock, broken: dict[str, Any]
) -> None:
    for name, value in broken.items():
        setattr(issuer, name, value)
    keys = IssuerKeys(issuer.url, clock=steady)
    tokens = Tokens(Trust(issuer.url, AUDIENCE), keys, clock=wall)
    with pytest.raises(Unavailable):
        await tokens.principal(signed(RSA, claims(issuer)))


# how it is configured and told apart


def test_only_https_and_this_machine_are_trusted() -> None:
    assert trustworthy("https://login.example.com/realms/a")
    assert trustworthy("http://127.0.0.1:8080")
    for address in ("http://login.example.com", "ftp://a", "https://", "login.example.com", "http://[", ""):
        assert not trustworthy(address)


@pytest.mark.parametrize(
    "wrong", [{"oidc_issuer": "https://a.example"}, {"oidc_issuer": "http://a.example", "oidc_audience": "x"}]
)
def test_an_issuer_without_audience_or_https_is_no_configuration(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="OIDC_"):
        GatewaySettings(nats_seed=SecretStr("x"), **wrong)


def test_keys_and_tokens_are_told_apart_by_their_form() -> None:
    assert presented({"authorization": "Bearer eyJh.eyJi.c2ln"}, device_allowed=False).is_token
    for value in ("eyJh.eyJi", "eyJh..c2ln", "hmq_key_a.b.c", "a.b.c", "eyJh.eyJi.c2ln.x.y", "eyJh.e yJi.c"):
        assert not looks_like_token(value)
        with pytest.raises(Refused):
            presented({"authorization": f"Bearer {value}"}, device_allowed=True)
