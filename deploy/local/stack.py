"""The platform's processes: started in order, watched, stopped in reverse."""

import fcntl
import http.client
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import IO

from deploy.local import environment, requests
from deploy.local.environment import SERVICES, ServicePorts
from deploy.local.mosquitto import MosquittoServer, require
from deploy.local.nats import NatsServer
from deploy.local.nats_config import NatsPorts
from deploy.local.ports import LOOPBACK, free_port, wanted_port
from deploy.local.postgres import Postgres
from deploy.local.process import Process, ProcessFailed
from deploy.local.secrets import Secrets, write_private
from deploy.local.tls import tls_files
from deploy.local.watch import Watch

ROOT = Path(__file__).resolve().parents[2]

WANTED_PORTS = {
    "gateway": 8000,
    "mqtt": 1883,
    "mqtts": 8883,
    "mqtt_ws": 9001,
    "mqtt_wss": 8084,
    "nats": 4222,
    "database": 5432,
}
"""What people expect; `HYBRIDMQ_<NAME>_PORT` asks for another, 0 for any."""

READY_TIMEOUT_S = 90
"""A cold start compiles every module on two busy cores."""


class AlreadyRunningError(RuntimeError):
    """Another stack uses this state folder."""


@dataclass(frozen=True)
class Addresses:
    """What `run.json` says."""

    gateway: str
    mqtt: str
    mqtt_ws: str
    mqtts: str
    mqtt_wss: str
    mqtt_ca: str
    nats: str
    database: str
    admin_key: str


class Stack:
    """nats-server, PostgreSQL and the four services in one state folder."""

    def __init__(
        self,
        state: Path,
        *,
        wanted: Mapping[str, int] | None = None,
        durable: bool = False,
        say: Callable[[str], None] = print,
        extra_environment: Mapping[str, str] | None = None,
        hosted_broker: str = "nats",
    ) -> None:
        self._state = state
        self._say = say
        self._lock = _locked(state)
        self.run_file.unlink(missing_ok=True)  # of a run that was killed
        self._logs = state / "logs"
        self._extra = dict(extra_environment or {})
        ports = self._choose_ports({**dict.fromkeys(WANTED_PORTS, 0), **(wanted or {})})
        self._secrets = Secrets(state / "secrets")
        tls = tls_files(state / "secrets", {**os.environ, **self._extra})
        mosquitto = hosted_broker == "mosquitto"
        # nats-server's own listener then lets no device in: nobody answers for them.
        listeners = (free_port(), free_port()) if mosquitto else (ports["mqtt"], ports["mqtt_ws"])
        self.nats = NatsServer(
            state / "nats",
            NatsPorts(ports["nats"], *listeners, monitor=free_port()),
            self._secrets,
            log=self._logs / "nats.log",
            durable=durable,
            tls=(tls.certificate, tls.key),
        )
        self.postgres = Postgres(
            state / "postgres", ports["database"], self._secrets, log=self._logs / "postgres.log"
        )
        self._ports = ServicePorts(ports["gateway"], {name: free_port() for name in SERVICES})
        secured = environment.Secured(tls, ports["mqtts"], ports["mqtt_wss"], free_port())
        self._secured = secured
        environments = environment.services(
            self.nats, self.postgres.urls(), self._secrets, self._ports, secured
        )
        self.mosquitto: MosquittoServer | None = None
        if mosquitto:
            require(say)
            self.mosquitto = MosquittoServer(
                state / "mosquitto",
                mqtt=ports["mqtt"],
                websocket=ports["mqtt_ws"],
                secrets=self._secrets,
                root=ROOT,
                log=self._logs / "mosquitto.log",
                registry=environments["credentials"],
                restore_file=state / "restart" / "mosquitto",
            )
            environments = self.mosquitto.overlay(environments)
        self.services = {
            name: self._python(f"services.{name}", name, environments[name]) for name in SERVICES
        }
        relay = environment.relay(self.nats, self._secrets, secured)
        if self.mosquitto is not None:
            relay |= self.mosquitto.relay()
        self.relay = self._python("services.relay", "relay", relay)
        self._tasks = {
            "streams": self._python("runtime.provision", "streams", environment.provision(self.nats)),
            "tables": self._python(
                "services.telemetry.migrate", "tables", environment.migrate(self.postgres.urls())
            ),
        }
        self._watch = Watch(
            {
                "nats": (self.nats.process, self.nats.start),
                "postgres": (self.postgres.process, self.postgres.start),
                **({"mosquitto": (self.mosquitto.process, self.mosquitto.start)} if self.mosquitto else {}),
                **{name: (service, service.start) for name, service in self.services.items()},
                "relay": (self.relay, self.relay.start),
            },
            say,
        )

    @property
    def addresses(self) -> Addresses:
        return Addresses(
            gateway=f"http://{LOOPBACK}:{self._ports.http}",
            mqtt=(self.mosquitto or self.nats).mqtt_url,
            mqtt_ws=(self.mosquitto or self.nats).mqtt_ws_url,
            mqtts=self._secured.mqtts_url,
            mqtt_wss=self._secured.wss_url,
            mqtt_ca=f"http://{LOOPBACK}:{self._ports.http}/v1/ca.pem" if self._secured.tls.authority else "",
            nats=self.nats.url,
            # The role that row security does not bind: whoever runs this machine may see all of it.
            database=self.postgres.urls().projector.replace("+asyncpg", ""),
            admin_key=environment.admin_key(self._secrets),
        )

    @property
    def run_file(self) -> Path:
        return self._state / "run.json"

    @property
    def processes(self) -> dict[str, Process]:
        """All that run for long, by name."""
        return {
            "nats": self.nats.process,
            "postgres": self.postgres.process,
            **({"mosquitto": self.mosquitto.process} if self.mosquitto else {}),
            **self.services,
            "relay": self.relay,
        }

    def start(self) -> None:
        """Returns when everything is ready; what was started before a failure is stopped again."""
        together = ThreadPoolExecutor(thread_name_prefix="starting")
        try:
            self._start(together)
        except BaseException:
            self._stop_processes()  # so that whoever waits for readiness gives up at once
            together.shutdown(cancel_futures=True)
            self._stop_processes()  # and what was being started meanwhile
            raise
        together.shutdown()
        write_private(self.run_file, json.dumps(asdict(self.addresses), indent=2) + "\n")

    def stop(self) -> None:
        """The services first, then what they use; safe to call at any moment, any number of times."""
        self.run_file.unlink(missing_ok=True)
        self._stop_processes()
        self._lock.close()

    def watch(self) -> None:
        """One look at every process: restarts what has ended or should be, bounds the logs."""
        for name in requests.taken(self._state, self.processes):
            self._say(f"restarting {name}, as asked for")
            self.restart(name, ready=False)
        self._watch.look(time.monotonic())

    def kill(self, name: str) -> None:
        """SIGKILL to a service, `nats` or `postgres`; it stays down until `restart` or `watch`."""
        self.processes[name].kill()

    def restart(self, name: str, *, ready: bool = True) -> None:
        """Starts it again (stopping it in order where it still runs) and awaits its readiness."""
        if name == "nats":
            self.nats.stop()
            self.nats.start()
        elif name == "postgres":
            self.postgres.stop()
            self.postgres.start()
        elif name == "mosquitto":
            assert self.mosquitto is not None
            self.mosquitto.stop()
            self.mosquitto.start()
        else:
            self.processes[name].stop()
            self.processes[name].start()
            if ready:
                self.await_ready(name)

    def await_ready(self, name: str) -> None:
        """Returns when a service says that it is ready."""
        ports = {**self._ports.health, "gateway": self._ports.http, "relay": self._secured.health}
        port = ports[name]
        self.processes[name].await_ready(lambda: says_ready(port), timeout_s=READY_TIMEOUT_S)

    def health_url(self, name: str) -> str:
        """Where a service serves /healthz, /readyz and /metrics."""
        return f"http://{LOOPBACK}:{self._ports.health[name]}"

    def _start(self, together: ThreadPoolExecutor) -> None:
        for process in (*self.processes.values(), *self._tasks.values()):
            process.rotate_log()
        self._all(together, {"nats-server": self.nats.start, "PostgreSQL": self.postgres.start})
        self._all(together, {name: partial(self._run_task, name) for name in self._tasks})
        if self.mosquitto is not None:
            self._all(together, {"Mosquitto": self.mosquitto.start})
            self._say(
                "  its WebSocket listener binds every interface: a firewall keeps strangers off its port"
            )
        for service in self.services.values():
            service.start()
        self.relay.start()
        self._all(together, {name: partial(self.await_ready, name) for name in (*SERVICES, "relay")})

    def _stop_processes(self) -> None:
        for task in self._tasks.values():
            task.stop()
        self.relay.stop()
        for name in reversed(SERVICES):
            self.services[name].stop(timeout_s=15)
        if self.mosquitto is not None:
            self.mosquitto.stop()
        self.postgres.stop()
        self.nats.stop()

    def _all(self, together: ThreadPoolExecutor, steps: Mapping[str, Callable[[], None]]) -> None:
        began = time.monotonic()
        futures = {name: together.submit(step) for name, step in steps.items()}
        for name, future in futures.items():
            future.result()
            self._say(f"  {name} ready ({time.monotonic() - began:.1f} s)")

    def _run_task(self, name: str) -> None:
        task = self._tasks[name]
        task.start()
        if task.wait(READY_TIMEOUT_S) != 0:
            raise ProcessFailed(f"{name} failed; {task.log} ends:\n{task.log_tail()}")

    def _python(self, module: str, name: str, env: Mapping[str, str]) -> Process:
        inherited = {"LOG_LEVEL": "INFO", **os.environ, "PYTHONUNBUFFERED": "1"}
        return Process(
            name,
            [sys.executable, "-m", module],
            log=self._logs / f"{name}.log",
            env={**inherited, **env, **self._extra},
            cwd=ROOT,
        )

    def _choose_ports(self, wanted: Mapping[str, int]) -> dict[str, int]:
        chosen = {}
        for name, port in wanted.items():
            chosen[name] = wanted_port(port) if port else free_port()
            if port and chosen[name] != port:
                self._say(f"  port {port} ({name}) is taken: using {chosen[name]}")
        return chosen


def says_ready(port: int) -> bool:
    """Whether /readyz on loopback answers 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False  # not listening yet
    finally:
        connection.close()


def _locked(state: Path) -> IO[str]:
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = (state / "lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise AlreadyRunningError(f"another platform runs in {state}") from None
    return lock
