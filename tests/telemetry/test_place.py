"""Where a projection goes on."""

import pytest

from services.telemetry.place import Checkpoint, Place, place

HELD = Checkpoint(epoch=1, created="2026-01-01T00:00:00.123456789Z", sequence=100)


@pytest.mark.parametrize(
    ("created", "first", "last", "expected"),
    [
        (HELD.created, 1, 100, Place(101, "none", 0)),
        (HELD.created, 1, 5000, Place(101, "none", 0)),
        (HELD.created, 101, 100, Place(101, "none", 0)),  # all of it aged out, all of it was read
        (HELD.created, 151, 200, Place(151, "none", 50)),
        (HELD.created, 1, 99, Place(1, "restored", 0)),
        ("2026-01-01T00:00:00.123456780Z", 1, 500, Place(1, "recreated", 0)),
        ("2026-02-01T00:00:00Z", 0, 0, Place(1, "recreated", 0)),
    ],
)
def test_the_place(created: str, first: int, last: int, expected: Place) -> None:
    assert place(HELD, created, first, last) == expected
