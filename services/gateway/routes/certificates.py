"""TLS: the authority that devices trust, and client certificates in the place of passwords."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, delete, get, post
from litestar.params import JSONBody
from pydantic import StringConstraints

from contracts.certificates import (
    BIND_CERTIFICATE,
    PEM_CHARS_MAX,
    SUBJECT_CHARS_MAX,
    UNBIND_CERTIFICATE,
    BindCertificate,
    UnbindCertificate,
)
from contracts.credentials import CredentialView
from contracts.failures import Refused
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, CommandId, Id
from services.gateway.state import Backend

PEM = "application/x-pem-file"


class ClientCertificate(Body):
    """One of the three: the certificate itself, its SHA-256, or the subject of any certificate that the
    authority signs (RFC 4514)."""

    pem: Annotated[str, StringConstraints(max_length=PEM_CHARS_MAX)] | None = None
    fingerprint: Annotated[str, StringConstraints(max_length=95)] | None = None
    subject: Annotated[str, StringConstraints(max_length=SUBJECT_CHARS_MAX)] | None = None


_BIND = {"failures": ("certificate.invalid", "credential.revoked", "credential.expired")}


@post("/v1/credentials/{id:str}/certificate", status_code=200, opt=_BIND)
async def bind_certificate(
    id: Id, data: JSONBody[ClientCertificate], gateway: Backend, caller: Caller, command_id: CommandId
) -> CredentialView:
    """Bind a client certificate to a credential: over TLS a device may then come with it and no password.
    Sessions that began with another one end."""
    given = [name for name, value in data.model_dump().items() if value is not None]
    if len(given) != 1:
        raise Refused("request.invalid", "send one of `pem`, `fingerprint` and `subject`", field="pem")
    command = BindCertificate(
        organization=caller.organization,
        actor=caller.actor,
        command_id=command_id,
        id=id,
        **data.model_dump(),
    )
    return await gateway.ask(BIND_CERTIFICATE, command)


@delete("/v1/credentials/{id:str}/certificate", status_code=204)
async def unbind_certificate(id: Id, gateway: Backend, caller: Caller, command_id: CommandId) -> None:
    """Let the credential come with its password alone. Asking twice is harmless."""
    command = UnbindCertificate(
        organization=caller.organization, actor=caller.actor, command_id=command_id, id=id
    )
    await gateway.ask(UNBIND_CERTIFICATE, command)


@get("/v1/ca.pem", include_in_schema=False, sync_to_thread=True)
def certificate_authority(gateway: Backend) -> Response[bytes]:
    """What devices must trust; 404 where a public authority signed the broker's certificate."""
    if gateway.settings.mqtt_tls_ca is None:
        raise Refused("not_found", "devices need no certificate authority of ours here")
    return Response(
        gateway.settings.mqtt_tls_ca.read_bytes(),
        media_type=PEM,
        headers={
            "content-disposition": 'attachment; filename="hybridmq-ca.pem"',
            "cache-control": "no-cache",
        },
    )


ROUTES = [bind_certificate, unbind_certificate, certificate_authority]
