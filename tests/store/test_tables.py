import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from kept.core.errors import Invalid, NotFound
from kept.store.tables import DeltaTables


@pytest.fixture
def tables(tmp_path: Path) -> DeltaTables:
    return DeltaTables(tmp_path / "tables")


def frame(*numbers: int) -> pl.DataFrame:
    return pl.DataFrame({"number": numbers}, schema={"number": pl.Int64})


def test_every_version_can_be_read(tables: DeltaTables) -> None:
    versions = [
        tables.append("data/x", frame(1)),
        tables.append("data/x", frame(2, 3)),
        tables.replace("data/x", frame(9)),
    ]
    assert versions == [1, 2, 3]
    assert [tables.read("data/x", v).collect()["number"].sort().to_list() for v in versions] == [[1], [1, 2, 3], [9]]
    assert tables.read("data/x").collect()["number"].to_list() == [9]
    assert tables.version("data/x") == 3
    assert tables.version("data/y") is None


def test_a_repeated_write_changes_nothing(tables: DeltaTables) -> None:
    for number in (1, 1, 2, 2, 1):
        tables.append("log", frame(number), once=("spool/1", number))
    assert tables.read("log").collect()["number"].sort().to_list() == [1, 2]
    assert tables.last("log", "spool/1") == 2
    assert tables.last("log", "spool/2") is None
    assert tables.last("none", "spool/1") is None


def test_writers_at_once_lose_nothing(tables: DeltaTables) -> None:
    tables.append("log", frame(0))
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(lambda number: tables.append("log", frame(number), once=(f"w{number % 4}", number)), range(1, 21))
        )
    # A number that comes after a larger one of its writer is taken for a repetition, as promised.
    assert tables.read("log").collect()["number"].max() == 20


def test_types_of_polars_come_back_in_types_every_reader_knows(tables: DeltaTables) -> None:
    given = pl.DataFrame(
        {
            "text": ["a", None],
            "kind": pl.Series(["x", "y"], dtype=pl.Categorical),
            "at": pl.Series([datetime(2013, 4, 1, tzinfo=UTC)] * 2, dtype=pl.Datetime("ns", "UTC")),
            "nothing": [None, None],
        }
    )
    tables.append("t", given)
    found = tables.read("t").collect()
    assert found.schema == {"text": pl.String, "kind": pl.String, "at": pl.Datetime("us", "UTC"), "nothing": pl.String}
    assert found["at"].to_list() == given["at"].to_list()


def test_new_columns_are_added_and_old_rows_have_null(tables: DeltaTables) -> None:
    tables.append("t", frame(1))
    tables.append("t", pl.DataFrame({"number": [2], "more": [0.5]}))
    assert tables.read("t").sort("number").collect()["more"].to_list() == [None, 0.5]


def test_compaction_changes_no_row(tables: DeltaTables) -> None:
    for number in range(5):
        tables.append("t", frame(number))
    tables.compact("t")
    assert tables.read("t").collect()["number"].sort().to_list() == list(range(5))
    assert tables.read("t", 3).collect().height == 3


@pytest.mark.parametrize("name", ["", "/etc", "a/../b", "a//b", "a\0b", "."])
def test_names_do_not_lead_out(tables: DeltaTables, name: str) -> None:
    with pytest.raises(Invalid):
        tables.append(name, frame(1))


def test_what_is_not_there_is_not_found(tables: DeltaTables) -> None:
    with pytest.raises(NotFound, match="no table"):
        tables.read("t")
    tables.append("t", frame(1))
    with pytest.raises(NotFound, match="no version 7"):
        tables.read("t", 7)


def at_once(*actions: Callable[[], int]) -> list[int]:
    with ThreadPoolExecutor(len(actions)) as pool:
        return [future.result() for future in [pool.submit(action) for action in actions]]


def test_writers_at_the_same_time_are_told_their_own_versions(tables: DeltaTables) -> None:
    versions = at_once(*(partial(tables.append, "t", frame(number)) for number in range(4)))
    assert len(set(versions)) == 4
    for number, version in enumerate(versions):
        assert number in tables.read("t", version).collect()["number"]
    assert sorted(tables.read("t").collect()["number"]) == [0, 1, 2, 3]


def test_what_replaces_a_table_stands_alone_in_its_version(tables: DeltaTables) -> None:
    *_, version = at_once(
        *(partial(tables.append, "t", frame(number)) for number in range(3)), partial(tables.replace, "t", frame(9))
    )
    assert tables.read("t", version).collect()["number"].to_list() == [9]


def test_a_write_repeated_at_the_same_time_is_made_once(tables: DeltaTables) -> None:
    at_once(*[partial(tables.append, "t", frame(1), once=("w", 1))] * 4)
    assert tables.read("t").collect()["number"].to_list() == [1]


def test_what_is_given_back_is_on_the_disk(
    tables: DeltaTables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    really = os.fsync

    def fsync(descriptor: int) -> None:
        flushed.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    version = tables.append("log", frame(1))
    data = next((tmp_path / "tables" / "log").glob("*.parquet"))
    assert {str(data), str(data.parent), str(data.parent / "_delta_log" / f"{version:020}.json")} <= set(flushed)
