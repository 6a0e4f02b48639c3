"""The TLS context of both listeners; a renewed certificate is taken without a restart."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from runtime.observe import log

_log = log(part="tls")
LOOK_EVERY_S = 30.0


class Tls:
    """`watch()` is its task."""

    def __init__(self, certificate: Path, key: Path, client_authority: Path | None) -> None:
        self._files = certificate, key
        self._loaded = self._state()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.load_cert_chain(*self._files)
        if client_authority is not None:
            # A device may show a certificate, or come with its password alone.
            self.context.load_verify_locations(client_authority)
            self.context.verify_mode = ssl.CERT_OPTIONAL

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.reload()

    def reload(self) -> None:
        """Connections from now on see what the files hold now; a pair that does not fit is not taken."""
        try:
            state = self._state()
            if state == self._loaded:
                return
            probe = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            probe.load_cert_chain(*self._files)
            self.context.load_cert_chain(*self._files)
            self._loaded = state
            _log.info("the certificate was renewed")
        except OSError as error:  # ssl.SSLError is one
            _log.error("the renewed certificate cannot be read", error=str(error))

    def _state(self) -> list[tuple[int, int]]:
        return [(status.st_mtime_ns, status.st_ino) for status in (file.stat() for file in self._files)]
