"""Secrets of a local installation: made once, kept in files that only the owner reads."""

import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import nkeys


class Secrets:
    """A folder of secrets; each is made at its first use and stays the same ever after."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def user_seed(self, name: str) -> str:
        """The seed of a NATS user's nkey."""
        return self.once(f"{name}.seed", lambda: _seed(nkeys.PREFIX_BYTE_USER))

    def account_seed(self, name: str) -> str:
        """The seed of a NATS account's nkey."""
        return self.once(f"{name}.seed", lambda: _seed(nkeys.PREFIX_BYTE_ACCOUNT))

    def password(self, name: str) -> str:
        """192 random bits that need no quoting in a URL."""
        return self.once(f"{name}.password", lambda: secrets.token_hex(24))

    def key(self, name: str) -> str:
        """32 random bytes, base64."""
        return self.once(f"{name}.key", lambda: base64.b64encode(os.urandom(32)).decode())

    def key_file(self, name: str) -> Path:
        """The file of `key(name)`: who is given the file reads it anew at each start."""
        self.key(name)
        return self._folder / f"{name}.key"

    def once(self, name: str, make: Callable[[], str]) -> str:
        """What `make` gave the first time."""
        path = self._folder / name
        if not path.exists():
            write_private(path, make())
        return path.read_text()


def public_key(seed: str) -> str:
    """The public half of a seed, as configuration files name it."""
    public: bytes = nkeys.from_seed(seed.encode()).public_key
    return public.decode()


def write_private(path: Path, text: str) -> None:
    """Writes whole or not at all, mode 0600."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name, too, outlives a power cut
    finally:
        os.close(folder)


def _seed(prefix: int) -> str:
    encoded: bytes = nkeys.encode_seed(os.urandom(32), prefix)
    return encoded.decode()
