"""`make console`: builds the web console where its sources or its lock changed; `--check`: its types and lint."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONSOLE = ROOT / "services" / "gateway" / "console"
DIST = CONSOLE / "dist"
LOCK = CONSOLE / "package-lock.json"
_BIN = Path(sys.executable).parent
_MADE = {"node_modules", "dist", "dist.new", "openapi.json", "schema.d.ts", ".lock"}


def build() -> bool:
    """Whether there was anything to build. Two at once take turns."""
    with _turn():
        wanted = _sum_of_sources()
        if (DIST / "index.html").exists() and _read(DIST / ".built") == wanted:
            return False
        began = time.monotonic()
        _install()
        fresh = CONSOLE / "dist.new"
        shutil.rmtree(fresh, ignore_errors=True)
        _npm("run", "--silent", "build", "--", "--outDir", fresh.name, "--logLevel", "warn")
        (fresh / ".built").write_text(wanted)
        shutil.rmtree(DIST, ignore_errors=True)
        fresh.rename(DIST)
        print(f"The console is built ({time.monotonic() - began:.0f} s)", flush=True)
        return True


def check() -> None:
    """Types against the gateway's OpenAPI document as it is now, and lint."""
    with _turn():
        _install()
        document = subprocess.run(
            [sys.executable, "-m", "services.gateway.openapi"], cwd=ROOT, check=True, capture_output=True
        ).stdout
        (CONSOLE / "openapi.json").write_bytes(document)
        _npm("run", "--silent", "types")
        _npm("run", "--silent", "check")


def _install() -> None:
    """The packages that the lock names, where they are not there yet."""
    stamp = CONSOLE / "node_modules" / ".installed"
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if _read(stamp) != wanted:
        print("Installing the console's packages", flush=True)
        _npm("ci", "--silent", "--no-audit", "--no-fund")
        stamp.write_text(wanted)


def _npm(*arguments: str) -> None:
    env = {**os.environ, "PATH": f"{_BIN}{os.pathsep}{os.environ.get('PATH', '')}", "CI": "1"}
    done = subprocess.run([_BIN / "npm", *arguments], cwd=CONSOLE, env=env, check=False)
    if done.returncode:
        raise SystemExit(f"npm {' '.join(arguments)} failed in {CONSOLE.relative_to(ROOT)}")


def _sum_of_sources() -> str:
    found = hashlib.sha256()
    for path in sorted(CONSOLE.rglob("*")):
        below = path.relative_to(CONSOLE)
        if path.is_file() and not _MADE.intersection(below.parts):
            found.update(f"{below}\0".encode() + path.read_bytes())
    return found.hexdigest()


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


class _turn:  # noqa: N801 - reads as a word: `with _turn():`
    def __enter__(self) -> None:
        self._file = (CONSOLE / ".lock").open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        check()
    else:
        build()
