"""The TLS context of both listeners; a renewed certificate is taken without a restart."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from cryptography import x509
from opentelemetry.metrics import Observation

from runtime.observe import log, meter

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
        self._expires = _expiry(certificate)
        meter.create_observable_gauge(
            "hybridmq.certificate.expiry",
            callbacks=[lambda _: [Observation(self._expires, {"certificate": "devices"})]],
            unit="s",
            description="When the certificate ends that is shown now, in seconds since 1970",
        )
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
            self._expires = _expiry(self._files[0])
            _log.info("the certificate was renewed")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            _log.error("the renewed certificate cannot be read", error=str(error))

    def _state(self) -> list[tuple[int, int]]:
        return [(status.st_mtime_ns, status.st_ino) for status in (file.stat() for file in self._files)]


def _expiry(certificate: Path) -> float:
    """Of the first in the file: the server's own."""
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc.timestamp()
