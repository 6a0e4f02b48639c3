"""Backups of the logs: each stream as the server itself snapshots it, while everything runs.

`python -m runtime.backup save <folder> [stream…]` writes `<stream>.json` (its configuration and state) and
`<stream>.snapshot`; `restore` makes the streams of a folder that the server does not have, and leaves those that
it has. All of `contracts.streams` where none is named.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
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


async def run(settings: BusSettings, action: str, folder: Path, streams: Sequence[str]) -> None:
    bus = await connect(settings, "backup")
    try:
        for stream in streams:
            if action == "save":
                state = await save(bus.client, stream, folder)
            elif await _exists(bus.client, stream):
                _log.info("is there already: left as it is", stream=stream)
                continue
            else:
                state = await restore(bus.client, stream, folder)
            _log.info(f"{action}d", stream=stream, messages=state["messages"], last=state["last_seq"])
    finally:
        await bus.broker.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m runtime.backup", description=__doc__)
    parser.add_argument("action", choices=("save", "restore"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("streams", nargs="*", default=[stream.name for stream in STREAMS])
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = load(BusSettings)
    observe.set_up("backup")
    asyncio.run(run(settings, options.action, options.folder, options.streams))


if __name__ == "__main__":
    main()
