"""A log file that another program writes: its lines as they come, through cutting and replacing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

LOOK_S = 0.25
READ_BYTES_MAX = 1024 * 1024
"""A look; what a flood writes beyond it is passed over."""


async def follow(path: Path, kept: Path | None = None) -> AsyncIterator[list[str]]:
    """The lines of each look, those that are written from now on; goes on where the file is cut or replaced.

    `kept`: a file that holds the place, so that whoever starts anew goes on where the one before left off, and
    the first one begins at the beginning.
    """
    place = await asyncio.to_thread(_end_of, path) if kept is None else await asyncio.to_thread(_kept, kept)
    rest = b""
    while True:
        place, data = await asyncio.to_thread(_read, path, place)
        *lines, rest = (rest + data).split(b"\n")
        if lines:
            yield [line.decode("utf-8", "replace").rstrip("\r") for line in lines]
            if kept is not None:
                done = f"{place.file} {place.offset - len(rest)}"
                await asyncio.to_thread(kept.write_text, done)
        else:
            rest = rest[-READ_BYTES_MAX:]
            await asyncio.sleep(LOOK_S)


class _Place(NamedTuple):
    file: int  # inode; 0: there was none
    offset: int


def _kept(file: Path) -> _Place:
    try:
        inode, offset = map(int, file.read_text().split())
    except (FileNotFoundError, ValueError):  # the first start, or a crash in the middle of writing it
        return _Place(0, 0)
    return _Place(inode, offset)


def _end_of(path: Path) -> _Place:
    try:
        held = path.stat()
    except FileNotFoundError:
        return _Place(0, 0)
    return _Place(held.st_ino, held.st_size)


def _read(path: Path, place: _Place) -> tuple[_Place, bytes]:
    try:
        with path.open("rb") as file:
            now = _end_of(path)
            begin = place.offset if now.file == place.file and now.offset >= place.offset else 0
            if now.offset - begin > READ_BYTES_MAX:
                begin = now.offset - READ_BYTES_MAX
            file.seek(begin)
            data = file.read(READ_BYTES_MAX)
            return _Place(now.file, begin + len(data)), data
    except FileNotFoundError:
        return place, b""
