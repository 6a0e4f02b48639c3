"""`python -m services.gateway.openapi`: the document on standard output, without a running platform."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

from services.gateway.app import litestar
from services.gateway.openapi import document
from services.gateway.state import Gateway

nothing: Any = SimpleNamespace()
gateway = Gateway(settings=nothing, bus=nothing, writer=nothing, keys=nothing, live=nothing, health=nothing)
json.dump(document(litestar(gateway)), sys.stdout)
