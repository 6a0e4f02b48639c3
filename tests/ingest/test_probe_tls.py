"""What a connection test says of TLS: what was agreed on, whom it believes, and why it does not."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from contracts.connection_test import ConnectionTested
from tests.conftest import MakeMosquitto
from tests.ingest.probing import LOGIN, authority, failed, names, probe
from tests.support.certificates import Certificates, make_certificates
from tests.support.hostile import server_tls, web_server
from tests.support.mosquitto import Mosquitto


async def over_tls(port: int, certificates: Certificates) -> ConnectionTested:
    return await probe(port, protocol="mqtts", host="localhost", tls={"ca": authority(certificates)})


async def of(broker: Mosquitto, **more: object) -> ConnectionTested:
    assert broker.tls_port
    return await probe(broker.tls_port, **{"protocol": "mqtts", "host": "localhost", **more})  # type: ignore[arg-type]


async def test_a_broker_that_is_believed(mosquitto: MakeMosquitto, certificates: Certificates) -> None:
    tested = await of(mosquitto(certificates=certificates), tls={"ca": authority(certificates)})
    assert tested.ok
    assert names(tested) == ["dns", "address", "tcp", "tls", "mqtt", "subscribe"]
    seen = tested.steps[3].seen
    assert seen.startswith("TLSv1.3, ")
    assert "CN=test server by CN=test authority, for localhost, 127.0.0.1, valid until " in seen
    assert "IT EXPIRES IN" in seen  # the certificates of tests last a day
    assert "NOT VERIFIED" not in seen


async def test_verify_that_is_off_is_loud(mosquitto: MakeMosquitto, certificates: Certificates) -> None:
    tested = await of(mosquitto(certificates=certificates), tls={"verify": False})
    assert tested.ok
    assert "NOT VERIFIED" in tested.steps[3].seen


async def test_a_password_that_goes_unencrypted_is_loud(mosquitto: MakeMosquitto) -> None:
    tested = await probe(mosquitto(users={"bridge": "open sesame"}).port, **LOGIN)
    assert tested.ok
    assert "THE PASSWORD WENT UNENCRYPTED" in tested.steps[3].seen


async def test_an_authority_that_nobody_knows(mosquitto: MakeMosquitto, certificates: Certificates) -> None:
    step = failed(await of(mosquitto(certificates=certificates)))
    assert (step.name, step.code) == ("tls", "tls.untrusted")
    assert "CN=test server by CN=test authority" in step.seen
    assert step.next_action is not None
    assert "authority" in step.next_action
    assert "`tls.ca`" in step.next_action


async def test_a_certificate_that_signed_itself(mosquitto: MakeMosquitto, tmp_path: Path) -> None:
    own = self_signed(tmp_path)
    step = failed(await of(mosquitto(certificates=own)))
    assert (step.name, step.code) == ("tls", "tls.untrusted")
    assert step.next_action is not None
    assert "self-signed" in step.next_action
    assert (await of(mosquitto(certificates=own), tls={"ca": own.server.read_text()})).ok


async def test_a_certificate_that_is_expired(mosquitto: MakeMosquitto, tmp_path: Path) -> None:
    old = make_certificates(tmp_path, valid_for=timedelta(days=-1))
    step = failed(await of(mosquitto(certificates=old), tls={"ca": authority(old)}))
    assert (step.name, step.code) == ("tls", "tls.expired")
    yesterday = datetime.now(UTC) - timedelta(days=1)
    assert f"valid until {yesterday:%Y-%m-%d}" in step.seen
    assert step.next_action is not None
    assert "Renew" in step.next_action


async def test_a_certificate_for_another_name(mosquitto: MakeMosquitto, tmp_path: Path) -> None:
    other = make_certificates(tmp_path, host="mqtt.example.com")
    broker = mosquitto(certificates=other)
    step = failed(await of(broker, tls={"ca": authority(other)}))
    assert (step.name, step.code) == ("tls", "tls.name")
    assert step.next_action is not None
    assert "mqtt.example.com" in step.next_action
    assert "`tls.server_name`" in step.next_action
    named = {"ca": authority(other), "server_name": "mqtt.example.com"}
    assert (await of(broker, tls=named)).ok


async def test_a_broker_that_demands_a_client_certificate(
    mosquitto: MakeMosquitto, certificates: Certificates
) -> None:
    broker = mosquitto(certificates=certificates, client_certificates=True)
    step = failed(await of(broker, tls={"ca": authority(certificates)}))
    # TLS 1.3 says it after the handshake.
    assert (step.name, step.code) == ("mqtt", "tls.client_certificate_required")
    assert step.next_action is not None
    assert "`client_certificate`" in step.next_action
    shown = {"ca": authority(certificates), "client_certificate": certificates.client.read_text()}
    secrets = {"client_key": certificates.client_key.read_text()}
    assert (await of(broker, tls=shown, auth="client_certificate", secrets=secrets)).ok


async def test_a_server_of_tls_1_2_that_demands_a_client_certificate(certificates: Certificates) -> None:
    demanding = server_tls(certificates, newest=ssl.TLSVersion.TLSv1_2)
    demanding.load_verify_locations(certificates.authority)
    demanding.verify_mode = ssl.CERT_REQUIRED
    with web_server(tls=demanding) as port:
        step = failed(await over_tls(port, certificates))
    assert (step.name, step.code) == ("tls", "tls.client_certificate_required")


async def test_a_client_certificate_of_an_authority_that_the_broker_does_not_know(
    mosquitto: MakeMosquitto, certificates: Certificates, tmp_path: Path
) -> None:
    strange = make_certificates(tmp_path)
    broker = mosquitto(certificates=certificates, client_certificates=True)
    shown = {"ca": authority(certificates), "client_certificate": strange.client.read_text()}
    secrets = {"client_key": strange.client_key.read_text()}
    step = failed(await of(broker, tls=shown, auth="client_certificate", secrets=secrets))
    assert step.code == "tls.client_certificate_rejected"
    assert step.next_action is not None
    assert "trust the authority" in step.next_action


async def test_a_key_that_does_not_belong_to_the_certificate(
    mosquitto: MakeMosquitto, certificates: Certificates
) -> None:
    shown = {"ca": authority(certificates), "client_certificate": certificates.client.read_text()}
    secrets = {"client_key": certificates.server_key.read_text()}
    step = failed(
        await of(mosquitto(certificates=certificates), tls=shown, auth="client_certificate", secrets=secrets)
    )
    assert (step.name, step.code) == ("tls", "tls.certificate")
    assert "does not belong to its certificate" in step.seen


async def test_tls_that_is_too_old(certificates: Certificates) -> None:
    with web_server(tls=server_tls(certificates, newest=ssl.TLSVersion.TLSv1_1)) as port:
        step = failed(await over_tls(port, certificates))
    assert (step.name, step.code) == ("tls", "tls.protocol")
    assert step.next_action is not None
    assert "TLS 1.2" in step.next_action


async def test_a_protocol_that_the_port_does_not_speak(
    mosquitto: MakeMosquitto, certificates: Certificates
) -> None:
    """Mosquitto knows `mqtt` and its like, and takes whatever else as none at all: that is not an error."""
    tls = {"ca": authority(certificates), "alpn": ["x-amzn-mqtt-ca"]}
    tested = await of(mosquitto(certificates=certificates), tls=tls)
    assert tested.ok or tested.steps[-1].code == "tls.alpn"


def self_signed(folder: Path) -> Certificates:
    """As brokers make it at their installation."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    held = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, key_file = folder / "own.pem", folder / "own.key"
    certificate.write_bytes(held.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return Certificates(certificate, certificate, key_file, certificate, key_file)
