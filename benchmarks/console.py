"""Frames of the console in Chromium: live tail and topic tree at a rate, a list of many devices as it is scrolled.

    make bench ONLY=console ARGS="--rate 500 --seconds 20 --devices 10000"

A frame is the time from one `requestAnimationFrame` to the next, a long task (W3C Long Tasks) one over 50 ms. Chromium
draws without a GPU, on the cores that the platform and the sender have as well; what the page itself takes of a frame
is its thread's CPU time, and `waited` is for how much of the time that thread had work and no core.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
import psutil
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import Browser, CDPSession, Page, expect, sync_playwright

from deploy.local import console
from deploy.local.stack import ROOT, Stack
from tests.support.browser import find_chromium, visiting
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant

FRAME_MS_MAX = 50.0
TICK_S = 0.005
BATCH = 1000
SCROLL_PX_S = (2_000, 10_000)  # a wheel that is turned fast, and one that is flung
_BEGIN = """() => {
    const found = window.measured = {frames: [], tasks: [], on: true};
    let before = null;
    const frame = (now) => {
        if (before !== null) found.frames.push(now - before);
        before = now;
        if (found.on) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    found.observer = new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) found.tasks.push(entry.duration);
    });
    found.observer.observe({type: "longtask"});
}"""
_END = """() => {
    const {frames, tasks, observer} = window.measured;
    window.measured.on = false;
    observer.disconnect();
    return {frames, tasks};
}"""


_TOP = """() => document.querySelector('ul[aria-label="Devices"]').closest("[class*=scroller]").scrollTop"""


def main(arguments: list[str]) -> int:
    """0 when the page's own work for a frame fits into one."""
    if arguments[:1] == ["--send"]:
        return send(**json.loads(arguments[1]))
    parser = argparse.ArgumentParser(prog="python -m benchmarks console", description=__doc__)
    parser.add_argument("--rate", type=float, default=500, help="messages a second")
    parser.add_argument("--seconds", type=float, default=20, help="of each run of the live tail")
    parser.add_argument("--devices", type=int, default=10_000)
    options = parser.parse_args(arguments)
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit("Chromium is not installed: tests/support/install.sh")
    console.build()
    with tempfile.TemporaryDirectory(prefix="hybridmq-bench-") as folder:
        stack = Stack(Path(folder), extra_environment={"LOG_LEVEL": "WARNING"})
        try:
            stack.start()
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                with visiting(browser, stack.addresses.gateway) as visitor:
                    tenant = Tenant(stack)
                    _many(tenant, options.devices)
                    visitor.enter(tenant.key)
                    return _all(_Run(stack, tenant, browser, visitor.page), options)
        finally:
            stack.stop()


def _many(tenant: Tenant, devices: int) -> None:
    for first in range(0, devices, BATCH):
        numbers = range(first, min(first + BATCH, devices))
        lines = (json.dumps({"topic": f"devices/{name(n)}/telemetry", "payload": {"n": n}}) for n in numbers)
        sent = tenant.http.post(
            "/v1/ingest", content="\n".join(lines), headers={"Content-Type": "application/x-ndjson"}
        )
        sent.raise_for_status()
    eventually_now(lambda: tenant.http.get(f"/v1/devices/{name(devices - 1)}").status_code == 200)


def name(device: int) -> str:
    return f"boiler-{device:05}"


class _Run:
    def __init__(self, stack: Stack, tenant: Tenant, browser: Browser, page: Page) -> None:
        self._stack, self._tenant, self._page = stack, tenant, page
        self._debugger = page.context.new_cdp_session(page)
        self._debugger.send("Performance.enable")
        self._processes = browser.new_browser_cdp_session()
        self._credential = tenant.issue(publish=["devices/#"])

    def open(self, path: str) -> Page:
        self._page.goto(f"{self._stack.addresses.gateway}/console{path}")
        expect(self._page.get_by_role("heading", level=1)).to_be_visible()
        return self._page

    def live(self, path: str, cap: str | None = None) -> Page:
        page = self.open(path)
        expect(page.locator("h1").get_by_text("Live", exact=True)).to_be_visible()
        if cap is not None:
            page.get_by_label("List at most").first.click()
            page.get_by_role("option", name=cap, exact=True).click()
        return page

    def scroll(self, by: float, speed: float) -> None:
        """As a wheel does, in the middle of the page."""
        before = self._page.evaluate(_TOP)
        gesture = {"x": 700, "y": 600, "yDistance": by, "speed": speed, "gestureSourceType": "mouse"}
        self._debugger.send("Input.synthesizeScrollGesture", {**gesture, "preventFling": True})
        moved = self._page.evaluate(_TOP) - before
        assert abs(moved + by) < abs(by) / 10, f"scrolled by {moved}, not by {-by}"

    def sending(self, rate: float, seconds: float, devices: int) -> AbstractContextManager[object]:
        if not rate:
            return nullcontext()
        broker = urlsplit(self._stack.addresses.mqtt)
        told = {
            "host": broker.hostname,
            "port": broker.port,
            "client_id": self._credential.client_id,
            "username": self._credential.username,
            "password": self._credential.password,
            "prefix": self._credential.topic_prefix,
            "rate": rate,
            "seconds": seconds,
            "devices": devices,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.console", "--send", json.dumps(told)], cwd=ROOT
        )

    def measured(self, what: str, work: Callable[[], None]) -> float:
        """Prints what it found; CPU milliseconds of the page's thread for each frame, on average."""
        before, cpu, began = _metrics(self._debugger), self._thread(), time.monotonic()
        psutil.cpu_percent()
        self._page.evaluate(_BEGIN)
        work()
        found = self._page.evaluate(_END)
        machine, took_s = psutil.cpu_percent(), time.monotonic() - began
        after, (ran_s, waited_s) = _metrics(self._debugger), self._since(cpu)
        frames, tasks = sorted(found["frames"]), sorted(found["tasks"])
        p50, p95, p99 = (frames[int(share * (len(frames) - 1))] for share in (0.5, 0.95, 0.99))
        script, layout = (
            sum(after[f"{each}Duration"] - before[f"{each}Duration"] for each in names) / took_s
            for names in (("Script",), ("Layout", "RecalcStyle"))
        )
        each_ms = 1000 * ran_s / len(frames)
        print(
            f"{what}: {len(frames)} frames in {took_s:.0f} s, p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f}, longest"
            f" {frames[-1]:.0f} ms, {sum(each > FRAME_MS_MAX for each in frames)} over {FRAME_MS_MAX:.0f};"
            f" long tasks {len(tasks)}{f', longest {tasks[-1]:.0f} ms' if tasks else ''};"
            f" CPU of a frame {each_ms:.1f} ms (thread {ran_s / took_s:.0%}, waited {waited_s / took_s:.0%};"
            f" script {script:.0%}, layout and style {layout:.0%} of the time); heap"
            f" {after['JSHeapUsedSize'] / 2**20:.0f} MiB; machine {machine:.0f}% of {psutil.cpu_count()} cores",
            flush=True,
        )
        return each_ms

    def _thread(self) -> tuple[float, float]:
        """Seconds for which the page's main thread ran, and waited for a core (proc_pid_schedstat)."""
        processes = self._processes.send("SystemInfo.getProcessInfo")["processInfo"]
        page = max(
            (each for each in processes if each["type"] == "renderer"), key=lambda each: each["cpuTime"]
        )
        ran, waited, _ = Path(f"/proc/{page['id']}/schedstat").read_text().split()
        return int(ran) / 1e9, int(waited) / 1e9

    def _since(self, before: tuple[float, float]) -> tuple[float, float]:
        ran, waited = self._thread()
        return ran - before[0], waited - before[1]


def _all(run: _Run, options: argparse.Namespace) -> int:
    rate, seconds = options.rate, options.seconds
    costs = []
    for what, path, cap, at, devices in (
        ("idle", "/live", None, 0, 1),
        (f"live tail, {rate:.0f} a second, 50 listed", "/live", "50 / s", rate, 100),
        (f"live tail, {rate:.0f} a second, all listed", "/live", "All", rate, 100),
        (
            f"topics, {rate:.0f} a second on {options.devices:,}",
            "/live?tab=topics",
            None,
            rate,
            options.devices,
        ),
    ):
        page = run.live(path, cap)
        with run.sending(at, seconds + 4, devices):
            page.wait_for_timeout(2000)  # the sender is connected, the page stands
            costs.append(run.measured(what, lambda page=page: page.wait_for_timeout(seconds * 1000)))  # type: ignore[misc]
    page = run.open("/devices?sort=name")
    expect(page.get_by_role("link", name=name(0))).to_be_visible()
    page.wait_for_timeout(1000)
    for speed in SCROLL_PX_S:
        for what, sign in (("down", -1), ("up", 1)):
            scroll = partial(run.scroll, sign * speed * seconds / 2, speed)
            costs.append(run.measured(f"{options.devices:,} devices, {what} at {speed:,} px/s", scroll))
    return int(max(costs) > FRAME_MS_MAX)


def _metrics(debugger: CDPSession) -> dict[str, float]:
    answer: dict[str, Any] = debugger.send("Performance.getMetrics")
    return {each["name"]: each["value"] for each in answer["metrics"]}


def send(
    host: str,
    port: int,
    client_id: str,
    username: str,
    password: str,
    prefix: str,
    rate: float,
    seconds: float,
    devices: int,
) -> int:
    """Publishes at an even pace, QoS 0, 1 and 2 in turn, of so many devices."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id)
    client.username_pw_set(username, password)
    client.max_queued_messages_set(0)
    client.connect(host, port)
    client.loop_start()
    began, number = time.monotonic(), 0
    while (now := time.monotonic() - began) < seconds:
        while number < now * rate:
            topic = f"{prefix}/devices/{name(number % devices)}/telemetry"
            body = f'{{"temperature":{20 + number % 10}.5,"humidity":{40 + number % 20},"n":{number}}}'
            client.publish(topic, body, qos=number % 3)
            number += 1
        time.sleep(TICK_S)
    client.disconnect()
    client.loop_stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
