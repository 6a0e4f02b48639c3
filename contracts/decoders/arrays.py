"""An array of objects: many messages in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.decoders.limits import READINGS_MAX, SAMPLES_MAX
from contracts.decoders.model import Sample
from contracts.failures import Unprocessable


def samples_of_each(items: list[Any], read: Callable[[dict[str, Any]], Sample]) -> list[Sample]:
    """All are read or none: raises Unprocessable for too many, and for an item that is no object."""
    if len(items) > SAMPLES_MAX:
        raise Unprocessable("payload.too_many", f"over {SAMPLES_MAX} objects in one message")
    samples = []
    count = 0
    for index, item in enumerate(items):
        if type(item) is not dict:
            raise Unprocessable(
                "payload.unsupported", "an array of objects and other values", field=str(index)
            )
        samples.append(read(item))
        count += len(samples[-1].readings)
        if count > READINGS_MAX:
            raise Unprocessable("payload.too_many", f"over {READINGS_MAX} readings in one message")
    return samples
