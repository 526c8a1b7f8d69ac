"""The conformance kit of `kept.store.tables.Tables`. Needs pytest."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import polars as pl
import pytest

from kept.core.errors import Conflict, Invalid, NotFound
from kept.store.tables import Tables

T = TypeVar("T")


class TablesKit(ABC):
    """What every keeper of tables does."""

    @abstractmethod
    def open(self, folder: Path) -> Tables:
        """The keeper at this folder, which need not be there yet. Opened again, it has what was written before."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Where the keeper of one test keeps."""
        return tmp_path / "tables"

    @pytest.fixture
    def tables(self, folder: Path) -> Tables:
        """The keeper of one test, empty."""
        return self.open(folder)

    def test_every_version_can_be_read(self, tables: Tables) -> None:
        versions = [
            tables.append("data/x", _frame(1)),
            tables.append("data/x", _frame(2, 3)),
            tables.replace("data/x", _frame(9)),
        ]
        assert versions == sorted(set(versions))
        assert [_numbers(tables, "data/x", version) for version in versions] == [[1], [1, 2, 3], [9]]
        assert _numbers(tables, "data/x") == [9]
        assert tables.version("data/x") == versions[-1]
        assert tables.version("data/y") is None

    def test_it_is_there_when_it_is_opened_again(self, tables: Tables, folder: Path) -> None:
        version = tables.append("log", _frame(1), once=("w", 3))
        again = self.open(folder)
        assert again.version("log") == version
        assert again.last("log", "w") == 3
        again.append("log", _frame(1), once=("w", 3))
        again.append("log", _frame(2), once=("w", 4))
        assert _numbers(tables, "log") == [1, 2]

    def test_a_repeated_write_changes_nothing(self, tables: Tables) -> None:
        for number in (1, 1, 2, 2, 1):
            tables.append("log", _frame(number), once=("spool/1", number))
        assert _numbers(tables, "log") == [1, 2]
        assert tables.last("log", "spool/1") == 2
        assert tables.last("log", "spool/2") is None
        assert tables.last("none", "spool/1") is None

    def test_a_write_repeated_at_the_same_time_is_made_once(self, tables: Tables) -> None:
        _at_once(*[partial(tables.append, "t", _frame(1), once=("w", 1))] * 4)
        assert _numbers(tables, "t") == [1]

    def test_writers_go_on_together_from_where_each_stopped(self, tables: Tables) -> None:
        tables.advance("log", _frame(1, 2), {"a": (0, 5), "b": (0, 7)})
        tables.advance("log", _frame(3), {"b": (7, 9)})
        for marks in ({"a": (5, 6), "b": (7, 8)}, {"a": (0, 6)}, {"c": (1, 2)}):
            with pytest.raises(Conflict):
                tables.advance("log", _frame(9), marks)
        assert _numbers(tables, "log") == [1, 2, 3]
        assert [tables.last("log", writer) for writer in "abc"] == [5, 9, None]

    def test_of_two_that_go_on_in_one_name_at_the_same_time_one_does(self, tables: Tables) -> None:
        def write(number: int) -> int:
            try:
                return tables.advance("t", _frame(number), {"w": (0, number)})
            except Conflict:
                return 0

        told = _at_once(*(partial(write, number) for number in range(1, 5)))
        assert sum(one > 0 for one in told) == 1
        assert _numbers(tables, "t") == [tables.last("t", "w")]

    def test_writers_at_once_lose_nothing(self, tables: Tables) -> None:
        def write(writer: int) -> None:
            for number in range(1, 6):
                tables.append("log", _frame(writer * 10 + number), once=(f"w{writer}", number))

        tables.append("log", _frame(0))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(4)))
        assert _numbers(tables, "log") == [0, *(writer * 10 + number for writer in range(4) for number in range(1, 6))]

    def test_writers_at_the_same_time_are_told_their_own_versions(self, tables: Tables) -> None:
        versions = _at_once(*(partial(tables.append, "t", _frame(number)) for number in range(4)))
        assert len(set(versions)) == 4
        for number, version in enumerate(versions):
            assert number in _numbers(tables, "t", version)
        assert _numbers(tables, "t") == [0, 1, 2, 3]

    def test_what_replaces_a_table_stands_alone_in_its_version(self, tables: Tables) -> None:
        *_, version = _at_once(
            *(partial(tables.append, "t", _frame(number)) for number in range(3)),
            partial(tables.replace, "t", _frame(9)),
        )
        assert _numbers(tables, "t", version) == [9]

    def test_what_replaces_a_table_may_have_other_columns(self, tables: Tables) -> None:
        before = tables.append("t", _frame(1))
        tables.replace("t", pl.DataFrame({"text": ["a"]}))
        assert tables.read("t").collect().to_dict(as_series=False) == {"text": ["a"]}
        assert _numbers(tables, "t", before) == [1]

    def test_types_of_polars_come_back_in_types_every_reader_knows(self, tables: Tables) -> None:
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
        types = {"text": pl.String, "kind": pl.String, "at": pl.Datetime("us", "UTC"), "nothing": pl.String}
        assert found.schema == types
        assert found["at"].to_list() == given["at"].to_list()

    def test_new_columns_are_added_and_old_rows_have_null(self, tables: Tables) -> None:
        tables.append("t", _frame(1))
        tables.append("t", pl.DataFrame({"number": [2], "more": [0.5]}))
        assert tables.read("t").sort("number").collect()["more"].to_list() == [None, 0.5]

    def test_tables_are_found_by_their_part(self, tables: Tables) -> None:
        for name in ("log/b", "log/a", "log/deep/c", "other/a", "log"):
            tables.append(name, _frame(1))
        assert tables.names("log") == ["log/a", "log/b"]
        assert tables.names("none") == []

    def test_compaction_changes_no_row(self, tables: Tables) -> None:
        versions = [tables.append("t", _frame(number)) for number in range(5)]
        tables.compact("t")
        assert _numbers(tables, "t") == list(range(5))
        assert _numbers(tables, "t", versions[2]) == [0, 1, 2]

    def test_compactions_at_the_same_time_change_no_row(self, tables: Tables, folder: Path) -> None:
        for turn in range(3):
            for number in range(5):
                tables.append("t", _frame(5 * turn + number))
            _at_once(*(partial(self.open(folder).compact, "t") for _ in range(4)))
            assert _numbers(tables, "t") == list(range(5 * turn + 5))
            tables.vacuum("t", timedelta())

    def test_old_rows_are_forgotten_and_older_versions_still_have_them(self, tables: Tables) -> None:
        versions = [tables.append("t", _day(number), once=("w", number)) for number in (1, 2, 3)]
        tables.forget("t", "at", datetime(2013, 4, 3, tzinfo=UTC))
        assert _numbers(tables, "t") == [3]
        assert _numbers(tables, "t", versions[-1]) == [1, 2, 3]
        assert tables.last("t", "w") == 3

    def test_what_is_vacuumed_is_as_it_was(self, tables: Tables, folder: Path) -> None:
        for number in range(1, 4):
            tables.append("t", _day(number), once=("w", number))
        tables.compact("t")
        for keep in (timedelta(hours=1), timedelta(0)):
            tables.vacuum("t", keep)
            again = self.open(folder)
            assert _numbers(again, "t") == [1, 2, 3]
            assert again.last("t", "w") == 3
        tables.append("t", _day(3), once=("w", 3))
        tables.append("t", _day(4), once=("w", 4))
        assert _numbers(tables, "t") == [1, 2, 3, 4]

    def test_a_version_is_readable_as_long_as_a_vacuum_keeps_it(self, tables: Tables) -> None:
        versions = [tables.append("t", _day(number)) for number in (1, 2)]
        tables.compact("t")
        tables.vacuum("t", timedelta(hours=1))
        assert _numbers(tables, "t", versions[0]) == [1]

    @pytest.mark.parametrize("name", ["", "/etc", "a/../b", "a//b", "a\0b", "."])
    def test_names_do_not_lead_out(self, tables: Tables, name: str) -> None:
        with pytest.raises(Invalid):
            tables.append(name, _frame(1))
        with pytest.raises(Invalid):
            tables.read(name)

    def test_what_is_not_there_is_not_found(self, tables: Tables) -> None:
        with pytest.raises(NotFound, match="no table"):
            tables.read("t")
        tables.append("t", _frame(1))
        with pytest.raises(NotFound, match="no version 7"):
            tables.read("t", 7)


def _frame(*numbers: int) -> pl.DataFrame:
    return pl.DataFrame({"number": numbers}, schema={"number": pl.Int64})


def _day(number: int) -> pl.DataFrame:
    """A row with a number and the day of April 2013 that it names."""
    return _frame(number).with_columns(at=pl.lit(datetime(2013, 4, number, tzinfo=UTC), pl.Datetime("us", "UTC")))


def _numbers(tables: Tables, name: str, version: int | None = None) -> list[int]:
    return sorted(tables.read(name, version).collect()["number"].to_list())


def _at_once(*actions: Callable[[], T]) -> list[T]:
    with ThreadPoolExecutor(len(actions)) as pool:
        return [future.result() for future in [pool.submit(action) for action in actions]]
