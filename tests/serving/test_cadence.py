from pathlib import Path

import pytest

from kept.serving.cadence import ENOUGH_BYTES, Cadence


class Watch:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def ship(cadence: Cadence) -> bool:
    """What the worker does at each look."""
    if due := cadence.due():
        cadence.shipped()
    return due


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    folder = tmp_path / "spool" / "one"
    folder.mkdir(parents=True)
    return folder / f"{0:020d}.log"


def test_nothing_is_due_where_nothing_waits(tmp_path: Path) -> None:
    assert not Cadence(tmp_path / "none").due()


def test_a_pause_is_the_moment_to_ship(segment: Path) -> None:
    cadence = Cadence(segment.parent.parent, Watch())
    segment.write_bytes(b"x" * 100)
    assert [ship(cadence), ship(cadence), ship(cadence)] == [False, True, False]


def test_a_trickle_is_shipped_every_two_seconds(segment: Path) -> None:
    watch = Watch()
    cadence = Cadence(segment.parent.parent, watch)
    shipped = []
    for tick in range(40):
        watch.now = tick * 0.25
        with segment.open("ab") as stream:
            stream.write(b"x" * 100)
        if ship(cadence):
            shipped.append(watch.now)
    assert shipped == [2.0, 4.25, 6.5, 8.75]


def test_much_is_shipped_at_once(segment: Path) -> None:
    cadence = Cadence(segment.parent.parent, Watch())
    segment.write_bytes(b"x" * ENOUGH_BYTES)
    assert ship(cadence)
    assert not ship(cadence)


def test_a_new_segment_goes_on_where_the_last_ended(segment: Path) -> None:
    cadence = Cadence(segment.parent.parent, Watch())
    segment.write_bytes(b"x" * ENOUGH_BYTES)
    assert ship(cadence)
    segment.unlink()
    (segment.parent / f"{ENOUGH_BYTES:020d}.log").write_bytes(b"")
    assert not cadence.due()


def test_what_could_not_be_shipped_stays_due(segment: Path) -> None:
    cadence = Cadence(segment.parent.parent, Watch())
    segment.write_bytes(b"x" * ENOUGH_BYTES)
    assert cadence.due()
    assert cadence.due()
