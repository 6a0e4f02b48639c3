"""The rotation of the key that all secrets of integrations are sealed with: the operator's calls."""

from __future__ import annotations

from litestar import get, post

from contracts.key_rotation import GET_ROTATION, ROTATE_SECRETS, GetRotation, RotateSecrets, Rotation
from contracts.organizations import PLATFORM
from services.gateway.parameters import Caller, CommandId
from services.gateway.state import Backend


@post("/v1/secrets/rotate", status_code=200)
async def rotate_secrets(gateway: Backend, caller: Caller, command_id: CommandId) -> Rotation:
    """Seal all secrets with the current key. Answers when none is `left` on another key, or with how far it
    came; doing it again is harmless."""
    command = RotateSecrets(organization=PLATFORM, actor=caller.actor, command_id=command_id)
    return await gateway.ask(ROTATE_SECRETS, command)


@get("/v1/secrets/rotate")
async def get_rotation(gateway: Backend, caller: Caller) -> Rotation:
    """Show how many secrets are left on which key. A key may be dropped when `left` is 0."""
    return await gateway.ask(GET_ROTATION, GetRotation(organization=PLATFORM, actor=caller.actor))


ROUTES = [rotate_secrets, get_rotation]
