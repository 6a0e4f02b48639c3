"""Certificates and keys: what is taken, and how what is not is explained."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from contracts.failures import Refused
from contracts.pem import check_authorities, check_client, facts
from tests.support.pems import DAY, Pair, make_pair

CERTIFICATE, KEY = "settings.tls.client_certificate", "settings.tls.client_key"
ROOT = make_pair("root", authority=True)
MIDDLE = make_pair("middle", authority=True, issuer=ROOT)
CLIENT = make_pair("client", issuer=MIDDLE)
OTHER = make_pair("other")


def now() -> datetime:
    return datetime.now(UTC)


def refused(certificate: str, key: str | None) -> tuple[str | None, str]:
    """The field at fault, and the words."""
    with pytest.raises(Refused) as caught:
        check_client(certificate, key, now(), (CERTIFICATE, KEY))
    assert caught.value.code == "certificate.invalid"
    return caught.value.field, caught.value.detail


@pytest.mark.parametrize(
    "pair",
    [
        CLIENT,
        make_pair(key=rsa.generate_private_key(65537, 2048)),
        make_pair(key=ed25519.Ed25519PrivateKey.generate()),
        make_pair(key=ec.generate_private_key(ec.SECP384R1())),
    ],
    ids=["EC P-256", "RSA 2048", "Ed25519", "EC P-384"],
)
def test_a_certificate_with_its_key_is_taken(pair: Pair) -> None:
    check_client(pair.certificate, pair.key, now(), (CERTIFICATE, KEY))


def test_a_chain_in_order_is_taken_with_or_without_its_root() -> None:
    for chain in (
        CLIENT.certificate + MIDDLE.certificate,
        CLIENT.certificate + MIDDLE.certificate + ROOT.certificate,
    ):
        check_client(chain, CLIENT.key, now(), (CERTIFICATE, KEY))


def test_text_around_the_blocks_is_commentary() -> None:
    text = f"Bag Attributes\n  friendlyName: x\n{CLIENT.certificate}\nthanks\n".replace("\n", "\r\n")
    check_client(text, f"comment\n{CLIENT.key}", now(), (CERTIFICATE, KEY))


def test_without_a_key_the_certificate_alone_is_looked_at() -> None:
    check_client(CLIENT.certificate, None, now(), (CERTIFICATE, KEY))


def test_a_key_of_another_certificate() -> None:
    field, words = refused(CLIENT.certificate, OTHER.key)
    assert field == KEY
    assert "does not belong" in words
    rsa_key = make_pair(key=rsa.generate_private_key(65537, 2048)).key
    assert "RSA 2048 here, EC P-256 there" in refused(CLIENT.certificate, rsa_key)[1]


def test_an_expired_certificate_says_when() -> None:
    old = make_pair(begins=-3 * DAY, ends=-DAY)
    field, words = refused(old.certificate, old.key)
    assert field == CERTIFICATE
    assert words == f"the certificate expired {old.holder.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"


def test_one_that_is_not_valid_yet_says_from_when() -> None:
    early = make_pair(begins=DAY, ends=3 * DAY)
    _, words = refused(early.certificate, early.key)
    assert (
        words == f"the certificate is not valid before {early.holder.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    )


def test_an_expired_issuer_in_the_chain_is_named_by_its_number() -> None:
    old = make_pair("old", authority=True, begins=-3 * DAY, ends=-DAY)
    client = make_pair(issuer=old)
    assert refused(client.certificate + old.certificate, client.key)[1].startswith(
        "certificate 2 of the chain expired"
    )


def test_a_chain_in_the_wrong_order() -> None:
    field, words = refused(MIDDLE.certificate + CLIENT.certificate, CLIENT.key)
    assert (field, "certificate 2, which must stand first" in words) == (CERTIFICATE, True)
    middle_last = CLIENT.certificate + ROOT.certificate + MIDDLE.certificate
    assert "wrong order" in refused(middle_last, CLIENT.key)[1]


def test_a_stranger_in_the_chain() -> None:
    words = refused(CLIENT.certificate + OTHER.certificate, CLIENT.key)[1]
    assert words == "certificate 2 is not the issuer of certificate 1, CN=middle"


def test_key_and_certificate_exchanged() -> None:
    field, words = refused(CLIENT.key, CLIENT.key)
    assert (field, "belongs into client_key" in words) == (CERTIFICATE, True)
    field, words = refused(CLIENT.certificate, CLIENT.certificate)
    assert (field, "belongs into client_certificate" in words) == (KEY, True)


def test_a_key_behind_the_certificate_is_not_let_into_what_everybody_sees() -> None:
    assert "private key" in refused(CLIENT.certificate + CLIENT.key, CLIENT.key)[1]


@pytest.mark.parametrize("traditional", [False, True])
def test_an_encrypted_key_says_how_to_open_it(traditional: bool) -> None:
    field, words = refused(CLIENT.certificate, CLIENT.encrypted_key(traditional=traditional))
    assert field == KEY
    assert "openssl pkey" in words


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("hello", "not PEM"),
        (CLIENT.key.replace("-----END PRIVATE KEY-----", ""), "cut off"),
        (CLIENT.key[:60] + "!!" + CLIENT.key[62:], "damaged"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "damaged"),
        (CLIENT.key + CLIENT.key, "one private key"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "a public key, not a private key"),
    ],
)
def test_rubbish_for_a_key(key: str, words: str) -> None:
    field, said = refused(CLIENT.certificate, key)
    assert field == KEY
    assert words in said
    assert "AAAA" not in said


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        ("hello", "not PEM"),
        ("", "not PEM"),
        (CLIENT.certificate.replace("-----END CERTIFICATE-----", "-----END THING-----"), "cut off"),
        (CLIENT.certificate + "-----BEGIN CERTIFICATE-----\nAA", "cut off"),
        (CLIENT.certificate[:100] + "!!!!" + CLIENT.certificate[104:], "the certificate cannot be read"),
        (
            CLIENT.certificate + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            "certificate 2 of 2",
        ),
        (
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----",
            "a certificate request",
        ),
        (CLIENT.certificate * 21, "21 blocks, at most 20"),
    ],
)
def test_rubbish_for_a_certificate(certificate: str, words: str) -> None:
    field, said = refused(certificate, CLIENT.key)
    assert field == CERTIFICATE
    assert words in said


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (make_pair(key=rsa.generate_private_key(65537, 1024)), "RSA key of 1024 bits"),
        (make_pair(key=ec.generate_private_key(ec.SECP256K1())), "EC secp256k1"),
        (make_pair(key=dsa.generate_private_key(2048)), "DSA"),
    ],
    ids=["RSA 1024", "secp256k1", "DSA"],
)
def test_a_key_that_brokers_do_not_take(pair: Pair, words: str) -> None:
    assert words in refused(pair.certificate, pair.key)[1]


def test_a_damaged_rsa_key_is_refused_or_does_not_match() -> None:
    pair = make_pair(key=rsa.generate_private_key(65537, 2048))
    lines = pair.key.splitlines()
    lines[2] = lines[2][::-1]
    assert refused(pair.certificate, "\n".join(lines))[0] == KEY


def test_authorities_may_be_many_and_some_may_be_over() -> None:
    over = make_pair("over", authority=True, begins=-3 * DAY, ends=-DAY)
    check_authorities(ROOT.certificate + over.certificate, now(), "settings.tls.ca")
    with pytest.raises(Refused, match="expired"):
        check_authorities(over.certificate, now(), "settings.tls.ca")
    with pytest.raises(Refused, match="private key"):
        check_authorities(ROOT.key, now(), "settings.tls.ca")


def test_what_everybody_may_know_of_a_certificate() -> None:
    [read] = facts(CLIENT.certificate)
    assert (read.subject, read.issuer, read.key) == ("CN=client", "CN=middle", "EC P-256")
    assert (read.authority, read.for_clients) == (False, True)
    assert len(read.fingerprint) == 64
    assert not facts(make_pair(for_servers=True).certificate)[0].for_clients
    assert facts("rubbish") == ()
