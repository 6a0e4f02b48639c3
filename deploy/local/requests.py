"""What another process asks of the running platform: a file in its state folder, named for a service."""

from collections.abc import Collection
from pathlib import Path


def ask_restart(state: Path, service: str) -> Path:
    """The request; it is gone once the platform has taken it up."""
    request = _folder(state) / service
    request.parent.mkdir(exist_ok=True, mode=0o700)
    request.touch()
    return request


def taken(state: Path, services: Collection[str]) -> list[str]:
    """Services that somebody wants restarted; each request is taken once."""
    folder = _folder(state)
    if not folder.is_dir():
        return []
    found = [name for name in services if (folder / name).exists()]
    for name in found:
        (folder / name).unlink()
    return found


def _folder(state: Path) -> Path:
    return state / "restart"
