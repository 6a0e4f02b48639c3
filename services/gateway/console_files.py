"""The built console as files in memory, the same in every replica of a version."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from pathlib import Path

from litestar import Response

from contracts.failures import Refused

FOLDER = Path(__file__).parent / "console" / "dist"
# Nothing inline, nothing from elsewhere: scripts, styles, data, fonts and pictures are of this host.
CSP = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
_PAGE = {
    "content-security-policy": CSP,
    "cache-control": "no-cache",  # asked about each time: a deployment changes which files it names
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_ASSET = {"cache-control": "public, max-age=31536000, immutable"}  # its name holds its content's hash
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
_NOT_BUILT = (
    b"<!doctype html><title>HybridMQ</title><p>The console is not built here: run <code>make setup</code>."
)


class ConsoleFiles:
    """`answer` is what a path below /console gets."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {
            str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }
        self._tags = {
            name: f'"{hashlib.sha256(data).hexdigest()[:32]}"' for name, data in self._files.items()
        }

    @property
    def built(self) -> bool:
        return "index.html" in self._files

    def answer(self, path: str, headers: Mapping[str, str]) -> Response[bytes]:
        """A file; for any other address the page itself: ids in its deep links may have dots."""
        if not self.built:
            return Response(_NOT_BUILT, media_type="text/html", status_code=503)
        name = path.strip("/")
        if name not in self._files or name.endswith((".br", ".gz")):
            if name.startswith("assets/") or "." in name.partition("/")[0]:
                raise Refused("route.unknown")
            name = "index.html"
        made = {**(_ASSET if name.startswith("assets/") else _PAGE), "vary": "Accept-Encoding"}
        stored = name
        accepted = {each.split(";")[0].strip() for each in headers.get("accept-encoding", "").split(",")}
        for encoding, suffix in _ENCODINGS:
            if encoding in accepted and name + suffix in self._files:
                stored, made["content-encoding"] = name + suffix, encoding
                break
        made["etag"] = self._tags[stored]
        if made["etag"] in headers.get("if-none-match", ""):
            return Response(b"", status_code=304, headers=made, media_type=_type(name))
        return Response(self._files[stored], headers=made, media_type=_type(name))


def _type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
