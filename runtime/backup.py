"""Backups of the logs: each stream as the server itself snapshots it, while everything runs.

`python -m runtime.backup save <folder> [stream…]` writes `<stream>.json` (its configuration and state) and
`<stream>.snapshot`, of all of `contracts.streams` where none is named; with `--keep N` into a folder of that moment
inside, of which the newest N that are whole stay. `restore` makes the streams of a folder (of its newest moment, where
it has several) that the server does not have, and leaves those that it has.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nats.errors
from nats.aio.client import Client

from contracts.failures import Unavailable
from contracts.streams import STREAMS
from runtime import jetstream, observe
from runtime.bus import connect
from runtime.jetstream import STREAM_NOT_FOUND, ApiError
from runtime.observe import log
from runtime.settings import BusSettings, load

_log = log(part="backup")
CHUNK_BYTES = 128 * 1024
SILENCE_S = 30.0  # between two chunks: a server that reads gigabytes pauses for seconds
END_OF_DATA = "204"
_MOMENT = re.compile(r"\d{8}T\d{6}Z")
_UNFINISHED = ".part"


def moments(folder: Path) -> list[Path]:
    """The whole backups in a folder of several, the oldest first."""
    return sorted(each for each in folder.iterdir() if each.is_dir() and _MOMENT.fullmatch(each.name))


def begin(folder: Path, now: datetime) -> Path:
    """A new folder for one moment, whole only when `finish` has named it so; what an earlier run left is gone."""
    for left in folder.glob(f"*{_UNFINISHED}"):
        if left.is_dir():
            shutil.rmtree(left)
    begun = folder / f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}{_UNFINISHED}"
    begun.mkdir(mode=0o700)
    return begun


def finish(begun: Path, keep: int) -> Path:
    """The same under its name, and no more than `keep` in all."""
    done = begun.rename(begun.with_suffix(""))
    for old in moments(done.parent)[:-keep]:
        shutil.rmtree(old)
    return done


def saved_in(folder: Path) -> Path:
    """Where the streams of a folder are: in it, or in its newest moment."""
    found = [] if any(folder.glob("*.snapshot")) else moments(folder)
    return found[-1] if found else folder


async def save(client: Client, stream: str, folder: Path) -> dict[str, Any]:
    """Its state at that moment. Raises ApiError, Unavailable("log.unavailable"); what was there before stays then."""
    inbox = client.new_inbox()
    received = await client.subscribe(inbox)
    part = folder / f"{stream}.part"
    try:
        asked = {"deliver_subject": inbox, "chunk_size": CHUNK_BYTES, "no_consumers": True}
        held = await jetstream.request(
            client, f"$JS.API.STREAM.SNAPSHOT.{stream}", asked, timeout_s=SILENCE_S
        )
        with part.open("wb") as file:
            while True:
                chunk = await received.next_msg(timeout=SILENCE_S)
                if not chunk.data:
                    status = (chunk.headers or {}).get("Status")
                    if status not in (None, END_OF_DATA):
                        raise Unavailable(
                            "log.unavailable", f"the snapshot of {stream} broke off: {chunk.headers}"
                        )
                    break
                await asyncio.to_thread(file.write, chunk.data)
                if chunk.reply:
                    await client.publish(chunk.reply)  # the server sends as much as was taken
    except (nats.errors.Error, TimeoutError) as error:
        raise Unavailable("log.unavailable", f"the snapshot of {stream} broke off: {error!r}") from error
    finally:
        await received.unsubscribe()
    part.replace(folder / f"{stream}.snapshot")
    described = {"config": held["config"], "state": held["state"]}
    (folder / f"{stream}.json").write_text(json.dumps(described, indent=1) + "\n")
    state: dict[str, Any] = held["state"]
    return state


async def restore(client: Client, stream: str, folder: Path) -> dict[str, Any]:
    """Its state then. Raises ApiError (the server has such a stream, or no room), Unavailable("log.unavailable")."""
    described = json.loads((folder / f"{stream}.json").read_text())
    opened = await jetstream.request(
        client, f"$JS.API.STREAM.RESTORE.{stream}", described, timeout_s=SILENCE_S
    )
    with (folder / f"{stream}.snapshot").open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            try:
                answer = await client.request(opened["deliver_subject"], chunk, timeout=SILENCE_S)
            except (nats.errors.Error, TimeoutError) as error:
                raise Unavailable("log.unavailable", f"restoring {stream} broke off: {error!r}") from error
            if answer.data:
                jetstream.parse(answer.data)
    made = await jetstream.request(client, opened["deliver_subject"], b"", timeout_s=10 * SILENCE_S)
    state: dict[str, Any] = made["state"]
    return state


async def _exists(client: Client, stream: str) -> bool:
    try:
        await jetstream.request(client, f"$JS.API.STREAM.INFO.{stream}")
    except ApiError as error:
        if error.code == STREAM_NOT_FOUND:
            return False
        raise
    return True


async def run(
    settings: BusSettings, action: str, folder: Path, streams: Sequence[str], keep: int | None = None
) -> None:
    """As the command line says it; no streams: all that there are to save, or all that were saved."""
    bus = await connect(settings, "backup")
    try:
        if action == "restore":
            await _restore(bus.client, saved_in(folder), streams)
            return
        to = folder if keep is None else begin(folder, datetime.now(UTC))
        for stream in streams or [stream.name for stream in STREAMS]:
            _tell("saved", stream, await save(bus.client, stream, to))
        if keep is not None:
            _log.info("whole", folder=str(finish(to, keep)))
    finally:
        await bus.broker.stop()


async def _restore(client: Client, folder: Path, streams: Sequence[str]) -> None:
    held = [stream.name for stream in STREAMS if (folder / f"{stream.name}.snapshot").exists()]
    if not held:
        raise FileNotFoundError(f"{folder} holds no backup")
    for stream in streams or held:
        if await _exists(client, stream):
            _log.info("is there already: left as it is", stream=stream)
        else:
            _tell("restored", stream, await restore(client, stream, folder))


def _tell(what: str, stream: str, state: dict[str, Any]) -> None:
    _log.info(what, stream=stream, messages=state["messages"], last=state["last_seq"])


def options(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Of a command line, this process's own where none is given; ends the process where it is none."""
    parser = argparse.ArgumentParser(prog="python -m runtime.backup", description=__doc__)
    parser.add_argument("action", choices=("save", "restore"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("streams", nargs="*", metavar="stream")
    parser.add_argument("--keep", type=int, metavar="N", help="a folder for each moment, the newest N stay")
    found = parser.parse_intermixed_args(given)  # the others know no streams behind an option
    if found.keep is not None and (found.keep < 1 or found.action == "restore"):
        parser.error("--keep: how many moments to keep when saving, 1 or more")
    return found


def main() -> None:
    asked = options()
    if asked.action == "save":
        asked.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = load(BusSettings)
    observe.set_up("backup")
    try:
        asyncio.run(run(settings, asked.action, asked.folder, asked.streams, asked.keep))
    except FileNotFoundError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
