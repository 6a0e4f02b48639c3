"""Keeps Mosquitto equal to the directory: at once what changes, and now and then everything.

Every replica may run one: all lead to the same state. A password is at hand only in the replica that made it and
only until the broker has it (`admit`); where it is nowhere any more, the broker is restored from a file.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from pydantic import SecretStr

from contracts.envelope import Recorded
from contracts.failures import Unavailable
from contracts.subjects import Entity
from runtime.observe import log, meter
from services.credentials.directory import Directory, Entry
from services.credentials.mosquitto.control import Control, connected
from services.credentials.mosquitto.expiries import Expiries
from services.credentials.mosquitto.mirror import Mirror
from services.credentials.mosquitto.restore import Restore
from services.credentials.mosquitto.staff import STAFF
from services.credentials.mosquitto.wanted import NOBODY, Client, Command, Repair, device, repair
from services.credentials.states.credential import Credential
from services.credentials.views import standing

_log = log(part="mosquitto")
_repairs = meter.create_counter(
    "hybridmq.mosquitto.commands", description="Sent to the hosted broker, by command"
)
MISSING_S = 10.0  # by then whoever issued a credential has told the broker of it
ADMIT_S = 3.0  # a caller waits no longer for a broker that is away
RECONNECT_S = 0.25
MESSAGE_S = 0.5  # the broker serves nobody while it works on a message: larger ones are cut
COMMANDS_MAX = 100
LIVE_S = 60.0  # what would take longer by commands is done by a restore
PASSWORDS_MAX = 20_000
TRIES = 3
LOOKS = 100  # in a row: some 3 ms, then others have their turn


class Follower:
    """`run()` is its task; it listens to the directory, and is the port's `HostedBroker`."""

    def __init__(
        self,
        directory: Directory,
        url: str,
        password: SecretStr,
        *,
        compare_s: float,
        restore: Path | None,
        on_log: Callable[[str], None],
        authority: Path | None = None,
    ) -> None:
        self._directory, self._url, self._password, self._authority = directory, url, password, authority
        self._compare_s, self._restore, self._on_log = compare_s, Restore(restore), on_log
        self._mirror = Mirror()
        self._urgent: dict[str, None] = {}  # names, the oldest first
        self._dirty: dict[str, None] = {}
        self._passwords: dict[str, str] = {}
        self._admitted: dict[str, asyncio.Event] = {}
        self._missing: dict[str, float] = {}  # since when
        self._expiries = Expiries()
        self._wake = asyncio.Event()
        self._failures: Counter[str] = Counter()
        self._command_s = 0.01  # what the last ones took, each
        self.connected = False

    @property
    def trouble(self) -> str | None:
        return None if self.connected else "Mosquitto is not followed"

    def __call__(self, entity: Entity, _: Recorded) -> None:
        """A listener of the directory."""
        if not self._directory.caught_up:
            return  # the first comparison looks at everybody
        if entity.kind == "credential":
            self._touch(entity.id)
        elif entity.kind == "organization":
            for entry in self._directory.credentials.by_organization.get(entity.organization, ()):
                self._touch(entry.id)

    async def admit(self, credential: str, password: str) -> None:
        """Returns when a device may connect with this password, or after a few seconds without a broker."""
        if len(self._passwords) < PASSWORDS_MAX:
            self._passwords[credential] = password
        done = self._admitted.setdefault(credential, asyncio.Event())
        self._touch(credential)
        try:
            await asyncio.wait_for(done.wait(), ADMIT_S)
        except TimeoutError:
            _log.warning("a new password is not at the broker yet", credential=credential)

    async def run(self) -> NoReturn:
        """Until cancelled."""
        while True:
            try:
                async with connected(self._url, self._password, self._authority) as control:
                    reading = asyncio.create_task(control.read(self._on_log))
                    work = asyncio.create_task(self._follow(control))
                    try:
                        await asyncio.wait((reading, work), return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        self.connected = False
                        for task in (reading, work):
                            task.cancel()
                        ends = await asyncio.gather(reading, work, return_exceptions=True)
                    for end in ends:
                        if isinstance(end, Exception):
                            raise end
            except Unavailable as failure:
                _log.warning("the hosted broker is not followed", error=failure.detail)
            await asyncio.sleep(RECONNECT_S)

    # the work

    async def _follow(self, control: Control) -> NoReturn:
        await self._compare(control)
        self.connected = True
        clock = asyncio.get_running_loop().time
        compared = clock()
        while True:
            for name in self._expiries.due(datetime.now(UTC)):
                self._touch(name)
            if self._urgent or self._dirty:
                await self._settle(control)
                continue
            due = compared + (min(MISSING_S, self._compare_s) if self._missing else self._compare_s)
            if clock() >= due:
                await self._compare(control)
                compared = clock()
                continue
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(
                    self._wake.wait(), max(0.0, min(due - clock(), self._expiries.next_s(datetime.now(UTC))))
                )

    async def _compare(self, control: Control) -> None:
        """Reads all that the broker holds; what is not as it should be becomes dirty."""

        async def urgent() -> None:
            await asyncio.sleep(0)
            while self._urgent:
                await self._settle(control)

        self._mirror = Mirror(await control.clients(urgent), await control.roles(urgent))
        self._failures.clear()
        await self._directory.catch_up()  # what another replica has just issued is no stranger
        if await control.defaults() != NOBODY:
            acls = [{"acltype": type, "allow": allow} for type, allow in NOBODY.items()]
            await self._send(control, [{"command": "setDefaultACLAccess", "acls": acls}])
        if groups := await control.groups():
            commands = [{"command": "deleteGroup", "groupname": name} for name in groups]
            await self._send(control, commands)
        self._expiries = Expiries()
        for entry in self._directory.credentials.by_id.values():
            self._expiries.note(entry.id, entry.state.expires_at, datetime.now(UTC))
        names = {*self._mirror.clients, *self._mirror.roles, *STAFF, *self._directory.credentials.by_id}
        clock = asyncio.get_running_loop().time
        missing, wrong = dict[str, float](), list[str]()
        for index, name in enumerate(names):
            if index % LOOKS == 0:
                await urgent()
            look = self._look(name)
            if look.missing:
                missing[name] = self._missing.get(name, clock())
            if look.commands:
                wrong.append(name)
        self._missing = missing
        if wrong:
            _log.info("the hosted broker differs from the registry", count=len(wrong))
        for name in (*wrong, *self._passwords):
            self._touch(name)
        self._consider_restore()

    async def _settle(self, control: Control) -> None:
        """One message: as many changes as the broker does in half a second, what ends access first."""
        expected_s = len(self._dirty) * 2 * self._command_s
        if expected_s > LIVE_S and self._restore.ask(f"{len(self._dirty)} changes"):
            self._dirty.clear()
        queue = self._urgent or self._dirty
        limit = max(2, min(COMMANDS_MAX, int(MESSAGE_S / self._command_s)))
        commands: list[Command] = []
        done: list[str] = []
        while queue and len(commands) < limit:
            name = next(iter(queue))
            del queue[name]
            look = self._look(name)
            # Of what is urgent only the first: to tidy up behind it can wait.
            commands += look.commands[:1] if queue is self._urgent else look.commands
            done.append(name)
            if not look.missing:
                self._missing.pop(name, None)
            elif name not in self._missing:
                self._missing[name] = asyncio.get_running_loop().time()
        try:
            if commands:
                await self._send(control, commands)
        except BaseException:
            for name in done:
                self._touch(name)
            raise
        for name in done:
            self._conclude(name)

    def _conclude(self, name: str) -> None:
        look = self._look(name)
        if look.commands:
            if self._failures[name] < TRIES:  # else the next comparison looks again
                self._touch(name)
        elif not look.missing:
            self._passwords.pop(name, None)
            if (admitted := self._admitted.pop(name, None)) is not None:
                admitted.set()

    async def _send(self, control: Control, commands: list[Command]) -> None:
        """What the broker accepted is what it holds."""
        began = asyncio.get_running_loop().time()
        errors = await control.send(commands)
        self._command_s = max(0.001, (asyncio.get_running_loop().time() - began) / len(commands))
        for command, error in zip(commands, errors, strict=True):
            _repairs.add(1, {"command": command["command"]})
            if error is None:
                self._mirror.take(command)
            else:
                name = command.get("username") or command.get("rolename") or ""
                _log.warning("the broker did not do it", command=command["command"], name=name, error=error)
                self._mirror.doubt(command)
                self._failures[name] += 1

    # what it should hold

    def _look(self, name: str) -> Repair:
        mirror = self._mirror
        return repair(
            name,
            self._wanted(name),
            mirror.clients.get(name),
            mirror.roles.get(name),
            self._passwords.get(name),
        )

    def _wanted(self, name: str) -> Client | None:
        if name in STAFF:
            return STAFF[name]
        entry = self._directory.credentials.by_id.get(name)
        return None if entry is None else wanted_now(self._directory, entry, datetime.now(UTC))

    def _touch(self, name: str) -> None:
        queue = self._urgent if _is_urgent(self._look(name).commands) else self._dirty
        queue[name] = None
        entry = self._directory.credentials.by_id.get(name)
        if entry is not None:
            self._expiries.note(entry.id, entry.state.expires_at, datetime.now(UTC))
        self._wake.set()

    # what only a restore can mend

    def _consider_restore(self) -> None:
        clock = asyncio.get_running_loop().time()
        lost = [name for name, since in self._missing.items() if clock - since >= MISSING_S]
        if lost:
            self._restore.ask(f"{len(lost)} clients or passwords are missing, as {lost[0]}")


def wanted_now(directory: Directory, entry: Entry[Credential], now: datetime) -> Client | None:
    """The client that this credential should have; None where it may not connect."""
    if not directory.active(entry.organization) or standing(entry.state, now) != "active":
        return None
    return device(entry.id, entry.state)


def _is_urgent(commands: tuple[Command, ...]) -> bool:
    """Whether live access may be at stake."""
    return bool(commands) and commands[0]["command"] in ("deleteClient", "modifyRole")
