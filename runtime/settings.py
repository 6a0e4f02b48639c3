"""Settings: environment variables, or files named by `<NAME>_FILE`; read once, frozen.

`python -m services.<name> --check-config` says whether they hold, without starting anything.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict


class _Files(PydanticBaseSettingsSource):
    """Reads a field from the file that `<NAME>_FILE` names: how secrets are mounted."""

    def get_field_value(self, _: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{field_name.upper()}_FILE")
        return (Path(path).read_text().strip() if path else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        values = {
            name: self.get_field_value(f, name)[0] for name, f in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in values.items() if value is not None}


class FileSettings(BaseSettings):
    """Frozen, from the environment and from files."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del dotenv_settings, file_secret_settings  # ours reads one file a field
        return init_settings, _Files(settings_cls), env_settings


class BusSettings(FileSettings):
    """What whoever speaks to NATS needs."""

    nats_url: str = "nats://127.0.0.1:4222"
    """One server or several, separated by commas."""
    nats_seed: SecretStr
    """The nkey seed of this service's user in the PLATFORM account."""
    platform_ca: Path | None = None
    """The authority that signed the certificates of NATS and of the hosted broker's own listener, PEM. With it they
    are spoken to by TLS alone; without it NATS is spoken to in the clear, on loopback."""


class ServiceSettings(BusSettings):
    """What every service has."""

    health_host: str = "127.0.0.1"
    health_port: int = 0
    """0: no health listener (the gateway answers on its own port)."""
    log_level: str = "INFO"
    stop_grace_s: float = 20.0
    """How long requests under way may take after SIGTERM; Kubernetes kills after 30 s."""


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def load(settings: type[SettingsT]) -> SettingsT:
    """The settings from the environment; ends the process with code 2 and a list of what is wrong."""
    try:
        loaded = settings()
    except (ValidationError, OSError) as error:
        for line in _explain(error):
            sys.stderr.write(line + "\n")
        raise SystemExit(2) from None  # the values may be secrets: they stay out of the traceback
    if "--check-config" in sys.argv[1:]:
        sys.stdout.write("configuration is valid\n")
        raise SystemExit(0)
    return loaded


def _explain(error: ValidationError | OSError) -> list[str]:
    if isinstance(error, OSError):
        return [f"cannot read {error.filename}: {error.strerror}"]
    names = (".".join(str(part) for part in problem["loc"]).upper() for problem in error.errors())
    return [f"{name}: {problem['msg']}" for name, problem in zip(names, error.errors(), strict=True)]
