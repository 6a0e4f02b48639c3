"""Where a projection goes on."""

import pytest

from services.telemetry.place import Checkpoint, Place, place

HELD = Checkpoint(epoch=1, created="2026-01-01T00:00:00.123456789Z", sequence=100, time_ns=7_000)


@pytest.mark.parametrize(
    ("created", "first", "last", "held_ns", "expected"),
    [
        (HELD.created, 1, 100, 7_000, Place(101, "none", 0)),
        (HELD.created, 1, 5000, 7_000, Place(101, "none", 0)),
        (HELD.created, 101, 100, None, Place(101, "none", 0)),  # all of it aged out, all of it was read
        (HELD.created, 151, 200, None, Place(151, "none", 50)),
        (HELD.created, 1, 5000, 7_001, Place(1, "restored", 0)),  # another message has its number
        (HELD.created, 1, 99, None, Place(1, "restored", 0)),
        ("2026-01-01T00:00:00.123456780Z", 1, 500, 7_000, Place(1, "recreated", 0)),
        ("2026-02-01T00:00:00Z", 0, 0, None, Place(1, "recreated", 0)),
    ],
)
def test_the_place(created: str, first: int, last: int, held_ns: int | None, expected: Place) -> None:
    assert place(HELD, created, first, last, held_ns) == expected


def test_a_checkpoint_of_before_times_were_kept_is_taken_as_it_is() -> None:
    held = HELD._replace(time_ns=None)
    assert place(held, HELD.created, 1, 5000, 7_001) == Place(101, "none", 0)
