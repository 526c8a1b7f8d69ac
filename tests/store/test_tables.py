"""What is so of Delta tables in a folder only; what every keeper of tables does is in its conformance kit."""

import os
from pathlib import Path

import polars as pl
import pytest

from kept.core.errors import Damaged, Invalid
from kept.store.tables import DeltaTables


@pytest.fixture
def tables(tmp_path: Path) -> DeltaTables:
    return DeltaTables(tmp_path / "tables")


def test_versions_are_counted_from_one(tables: DeltaTables) -> None:
    frame = pl.DataFrame({"number": [1]})
    assert [tables.append("t", frame), tables.append("t", frame), tables.replace("t", frame)] == [1, 2, 3]


def test_what_is_given_back_is_on_the_disk(
    tables: DeltaTables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    really = os.fsync

    def fsync(descriptor: int) -> None:
        flushed.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    version = tables.append("log", pl.DataFrame({"number": [1]}))
    data = next((tmp_path / "tables" / "log").glob("*.parquet"))
    assert {str(data), str(data.parent), str(data.parent / "_delta_log" / f"{version:020}.json")} <= set(flushed)


@pytest.mark.parametrize("left", [0, 4, 100, 400])
def test_a_file_that_lost_its_end_is_said_to_be_damaged(tables: DeltaTables, tmp_path: Path, left: int) -> None:
    tables.append("a b/log", pl.DataFrame({"number": range(100)}))
    (file,) = (tmp_path / "tables" / "a b" / "log").glob("*.parquet")
    os.truncate(file, left)
    with pytest.raises(Damaged, match=f"has {left} bytes, expected"):
        tables.read("a b/log").collect()


@pytest.mark.parametrize("name", ["my project", "Größe", "50%", "a#b", "{x}", "日本"])
def test_folders_may_be_called_what_people_call_them(tmp_path: Path, name: str) -> None:
    tables = DeltaTables(tmp_path / name / "tables")
    frame = pl.DataFrame({"number": [1, 2, 3]})
    first = tables.append("data/x", frame)
    tables.replace("data/x", frame.head(1))
    tables.compact("data/x")
    assert tables.read("data/x").collect().rows() == [(1,)]
    assert tables.read("data/x", first).filter(pl.col("number") > 1).collect().height == 2
    assert tables.names("data") == ["data/x"]


@pytest.mark.parametrize("name", ["a[b]", "p%20c", "a*b", "a|b", "a^b", "what?", "a\\b"])
def test_a_folder_in_which_tables_would_be_lost_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid, match="in its path"):
        DeltaTables(tmp_path / name / "tables")
    assert not (tmp_path / name).exists()
