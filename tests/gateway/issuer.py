"""A small OpenID issuer on loopback: discovery, keys, and tokens that say what a test wants."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from deploy.local.ports import LOOPBACK

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, size: int | None = None) -> str:
    return base64url(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


@dataclass(frozen=True)
class Signer:
    """A private key of the issuer's, and its algorithm; written out here, so that it proves the library."""

    kid: str
    key: PrivateKey

    @property
    def algorithm(self) -> str:
        match self.key:
            case rsa.RSAPrivateKey():
                return "RS256"
            case ec.EllipticCurvePrivateKey():
                return "ES256"
            case _:
                return "EdDSA"

    @property
    def public(self) -> dict[str, str]:
        """As a key set shows it."""
        common = {"kid": self.kid, "use": "sig", "alg": self.algorithm}
        match self.key:
            case rsa.RSAPrivateKey() as key:
                numbers = key.public_key().public_numbers()
                return {**common, "kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
            case ec.EllipticCurvePrivateKey() as key:
                point = key.public_key().public_numbers()
                x, y = number(point.x, 32), number(point.y, 32)
                return {**common, "kty": "EC", "crv": "P-256", "x": x, "y": y}
            case key:
                raw = key.public_key().public_bytes_raw()
                return {**common, "kty": "OKP", "crv": "Ed25519", "x": base64url(raw)}

    def pem(self) -> bytes:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, form)

    def sign(self, data: bytes) -> bytes:
        match self.key:
            case rsa.RSAPrivateKey() as key:
                return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
            case ec.EllipticCurvePrivateKey() as key:
                r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
                return r.to_bytes(32, "big") + s.to_bytes(32, "big")
            case key:
                return key.sign(data)


def rsa_signer(kid: str, bits: int = 2048) -> Signer:
    return Signer(kid, rsa.generate_private_key(65537, bits))


def ec_signer(kid: str) -> Signer:
    return Signer(kid, ec.generate_private_key(ec.SECP256R1()))


def ed_signer(kid: str) -> Signer:
    return Signer(kid, ed25519.Ed25519PrivateKey.generate())


def parts(header: dict[str, Any], claims: dict[str, Any]) -> bytes:
    return ".".join(base64url(json.dumps(part).encode()) for part in (header, claims)).encode()


def signed(signer: Signer, claims: dict[str, Any], **header: Any) -> str:
    data = parts({"alg": signer.algorithm, "typ": "JWT", "kid": signer.kid, **header}, claims)
    return f"{data.decode()}.{base64url(signer.sign(data))}"


def signed_by_secret(secret: bytes, claims: dict[str, Any], kid: str) -> str:
    """HS256, for the attack that takes a public key for the secret."""
    data = parts({"alg": "HS256", "kid": kid}, claims)
    made = hmac.HMAC(secret, hashes.SHA256())
    made.update(data)
    return f"{data.decode()}.{base64url(made.finalize())}"


def unsigned(claims: dict[str, Any], algorithm: str = "none") -> str:
    return parts({"alg": algorithm}, claims).decode() + "."


@dataclass
class Issuer:
    """What it serves may change; `asked` counts the questions for its keys."""

    url: str
    keys: list[dict[str, Any]] = field(default_factory=list)
    says_issuer: str | None = None  # another than its own
    says_keys_at: str | None = None
    status: int = 200
    padding: int = 0
    asked: int = 0

    def answer(self, path: str) -> dict[str, Any] | None:
        if path == "/.well-known/openid-configuration":
            return {
                "issuer": self.says_issuer or self.url,
                "jwks_uri": self.says_keys_at or f"{self.url}/keys",
            }
        if path == "/keys":
            self.asked += 1
            return {"keys": self.keys, "padding": "x" * self.padding}
        return None


@contextmanager
def serving_issuer() -> Iterator[Issuer]:
    """Listens on loopback until left."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = issuer.answer(self.path)
            body = json.dumps(found).encode()
            self.send_response(issuer.status if found is not None else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    issuer = Issuer(f"http://{LOOPBACK}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
