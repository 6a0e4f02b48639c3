"""Ids, hashes and sealed secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.failures import Unprocessable
from contracts.secrets_format import well_formed
from services.credentials.hashing import Hashing
from services.credentials.ids import CREDENTIAL, client_id_belongs, new_id, new_identity
from services.credentials.sealing import Sealing
from tests.credentials.parts import refused

CONTEXT = ("org_1", "int_1", "password", "v1")
ISSUED = "abcdefgh12345678"


@given(st.binary(max_size=200))
def test_what_is_sealed_opens_again(plain: bytes) -> None:
    sealing = Sealing(b"k" * 32)
    assert sealing.open(sealing.seal(plain, CONTEXT), CONTEXT) == plain


@pytest.mark.parametrize("position", range(4))
def test_it_opens_nowhere_else(position: int) -> None:
    sealing = Sealing(b"k" * 32)
    sealed = sealing.seal(b"secret", CONTEXT)
    elsewhere = list(CONTEXT)
    elsewhere[position] += "x"
    with refused("secret.unreadable"):
        sealing.open(sealed, tuple(elsewhere))


def test_parts_of_the_context_cannot_be_shifted() -> None:
    sealing = Sealing(b"k" * 32)
    sealed = sealing.seal(b"secret", ("org_1", "int", "password", "v1"))
    with refused("secret.unreadable"):
        sealing.open(sealed, ("org_1i", "nt", "password", "v1"))


def test_every_byte_counts() -> None:
    sealing = Sealing(b"k" * 32)
    sealed = sealing.seal(b"secret", CONTEXT)
    for index in range(len(sealed)):
        changed = sealed[:index] + bytes([sealed[index] ^ 1]) + sealed[index + 1 :]
        with refused("secret.unreadable"):
            sealing.open(changed, CONTEXT)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(Unprocessable, match="another key"):
        Sealing(b"K" * 32).open(Sealing(b"k" * 32).seal(b"secret", CONTEXT), CONTEXT)


def test_two_seals_of_the_same_differ() -> None:
    sealing = Sealing(b"k" * 32)
    assert sealing.seal(b"secret", CONTEXT) != sealing.seal(b"secret", CONTEXT)


def test_a_minted_secret_verifies_and_no_other_does() -> None:
    hashing = Hashing(b"k" * 32)
    secret, kept = hashing.mint("dev")
    assert well_formed(secret, "dev")
    assert kept.verifier.startswith("hmac-sha256:")
    assert hashing.verifies(secret, kept.verifier)
    assert not hashing.verifies(secret[:-1], kept.verifier)
    assert not Hashing(b"K" * 32).verifies(secret, kept.verifier)
    assert secret not in repr(kept)


@pytest.mark.parametrize(
    ("client_id", "belongs"),
    [
        (ISSUED, True),
        (f"{ISSUED}-a", True),
        (f"{ISSUED}-worker_1-b", True),
        (f"{ISSUED}-{'x' * 47}", True),
        (f"{ISSUED}-{'x' * 48}", False),
        (f"{ISSUED}-", False),
        (f"{ISSUED}a", False),
        (f"{ISSUED}-a\n", False),
        (f"{ISSUED}-ä", False),
        (f"{ISSUED}-a b", False),
        (ISSUED[:-1], False),
        ("", False),
        (ISSUED.upper(), False),
    ],
)
def test_a_client_id_is_the_issued_one_or_that_with_a_suffix(client_id: str, belongs: bool) -> None:
    assert client_id_belongs(client_id, ISSUED) is belongs


def test_generated_ids_have_their_form() -> None:
    assert CREDENTIAL.fullmatch(new_id("cred"))
    identity = new_identity()
    assert "-" not in identity.client_id
    assert len(identity.client_id) == 16
    assert identity.name.count("-") == 2
