"""The log does not grow without bound, and what is not of the log keeps every version."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from test_log import answered, failed, note
from test_shipping import predictions, shipper_of

from kept.serving.log import Spool
from kept.serving.retention import Retention
from kept.store.tables import DeltaTables
from kept.testing.manual_clock import ManualClock

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Steady:
    """A steady clock that goes as it is told."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def rows(*days: int) -> pl.DataFrame:
    times = pl.Series("received_at", [NOW - day * DAY for day in days], pl.Datetime("us", "UTC"))
    return pl.DataFrame({"id": [str(day) for day in days], "received_at": times})


def days_in(tables: DeltaTables, name: str = "predictions/late") -> list[int]:
    return sorted(int(one) for one in tables.read(name).collect()["id"])


def test_rows_go_after_their_time_and_not_before(tmp_path: Path) -> None:
    tables, clock, steady = DeltaTables(tmp_path / "tables"), ManualClock(NOW), Steady()
    for place, found in enumerate([(120, 91), (91, 89), (1,)]):
        tables.append("predictions/late", rows(*found), once=("w", place + 1))
    for name in ("prediction_errors/late", "data/late", "labels/late"):
        tables.append(name, rows(200, 1))
    retention = Retention(tmp_path / "spool", tables, clock, 90 * DAY, steady=steady)
    due = [retention.due]
    steady.seconds = 61
    due.append(retention.due)
    retention.tend()
    assert [*due, retention.due] == [False, True, False]
    assert days_in(tables) == [1, 89]
    assert days_in(tables, "prediction_errors/late") == [1]
    assert tables.last("predictions/late", "w") == 3
    for name in ("data/late", "labels/late"):
        assert days_in(tables, name) == [1, 200]
        assert [tables.read(name, version).collect().height for version in range(2)] == [0, 2]
    # A day and a half later, the next one has to go.
    steady.seconds = 61 + 1.5 * 86_400
    clock.advance(1.5 * DAY)
    retention.tend()
    assert days_in(tables) == [1]


def test_a_clock_that_jumps_ahead_takes_no_row_with_it(tmp_path: Path) -> None:
    tables, clock, steady = DeltaTables(tmp_path / "tables"), ManualClock(NOW), Steady()
    tables.append("predictions/late", rows(89, 1))
    retention = Retention(tmp_path / "spool", tables, clock, 90 * DAY, steady=steady)
    steady.seconds = 3600
    clock.set(datetime(2038, 1, 19, tzinfo=UTC))
    retention.tend()
    assert days_in(tables) == [1, 89]


def test_without_a_time_every_row_stays(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path / "tables")
    tables.append("predictions/late", rows(5000, 1))
    Retention(tmp_path / "spool", tables, ManualClock(NOW), None).tend()
    assert days_in(tables) == [1, 5000]


def test_disk_is_given_back_and_nothing_is_shipped_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kept.serving.compaction._FEW_FILES", 4)
    monkeypatch.setattr("kept.serving.retention.LONGEST_READ", timedelta(0))
    spool, shipper = Spool(tmp_path / "spool"), shipper_of(tmp_path)
    for turn in range(40):
        spool.write([(note(), answered((1.0, "x"), start=turn))], [failed()])
        shipper.ship()
        if turn % 10 == 9:
            shipper._retention.tend()
            # A shipper that knows nothing of what the other one did.
            shipper = shipper_of(tmp_path)
    assert sorted(predictions(tmp_path)["id"]) == sorted(f"late-{turn}" for turn in range(40))
    folder = tmp_path / "tables" / "predictions" / "late"
    assert len(list(folder.glob("*.parquet"))) <= 16
    assert DeltaTables(tmp_path / "tables").read("prediction_errors/late").collect().height == 40
    spool.close()


def test_idle_tables_are_left_alone(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path / "tables")
    tables.append("predictions/late", rows(1))
    retention = Retention(tmp_path / "spool", tables, ManualClock(NOW), 90 * DAY)
    versions = []
    for _ in range(4):
        retention.tend()
        versions.append(tables.version("predictions/late"))
    assert versions[1] == versions[2] == versions[3]


def test_bytes_that_were_set_aside_go_after_their_time(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path / "tables")
    dead = tmp_path / "spool" / "dead"
    dead.mkdir(parents=True)
    unnamed = tmp_path / "spool" / ".new-x"
    unnamed.mkdir()
    living = Spool(tmp_path / "spool")
    living.write([(note(), answered((1.0, "x")))])
    for name, age in (("old.torn", 31), ("young.torn", 29)):
        (dead / name).write_bytes(b"half a frame")
        moment = (NOW - age * DAY).timestamp()
        os.utime(dead / name, (moment, moment))
    retention = Retention(tmp_path / "spool", tables, ManualClock(NOW), None)
    retention.tend()
    assert [path.name for path in dead.iterdir()] == ["young.torn"]
    assert unnamed.is_dir()
    os.utime(unnamed, (0, 0))
    os.utime(dead / "young.torn", (0, 0))
    retention.tend()
    assert [path.name for path in (tmp_path / "spool").iterdir()] == [living.folder.name]
    living.close()
