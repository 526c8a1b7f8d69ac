"""The conformance kit of `kept.store.database.Database`. Needs pytest."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection

from kept.core.errors import Invalid
from kept.plan.records import ProjectRecord, find_project, save_project
from kept.store.database import Database
from kept.testing.records import add_point, places_of

_Open = Callable[[Path], AbstractContextManager[Database]]
_PROJECT = ProjectRecord(
    name="flights",
    question="?",
    owner="me",
    plan={"window": "P1D"},
    plan_digest="sha256:0",
    source="/p.py",
    updated_at=datetime(2013, 4, 1, 0, 0, 0, 123456, tzinfo=UTC),
)


class DatabaseKit(ABC):
    """What every database does. Other processes open it too, so derive from this at the top of a module."""

    @abstractmethod
    def open(self, folder: Path) -> AbstractContextManager[Database]:
        """The database of this folder, with the tables of `kept.store.schema`, closed at the end of the block.

        The folder is there. Opened again, also meanwhile and in another process, it is the same database.
        """

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """The folder whose database one test uses."""
        return tmp_path

    @pytest.fixture
    def database(self, folder: Path) -> Iterator[Database]:
        """The database of one test, empty."""
        with self.open(folder) as database:
            yield database

    def test_facts_come_back_as_they_were(self, database: Database, folder: Path) -> None:
        with database.writing() as connection:
            save_project(connection, _PROJECT)
        with database.reading() as connection:
            assert find_project(connection, "flights") == _PROJECT
        with self.open(folder) as again, again.reading() as connection:
            assert find_project(connection, "flights") == _PROJECT

    def test_a_transaction_that_raises_leaves_nothing(self, database: Database) -> None:
        with pytest.raises(KeyError), database.writing() as connection:
            save_project(connection, _PROJECT)
            raise KeyError
        with database.reading() as connection:
            assert find_project(connection, "flights") is None

    def test_a_reader_sees_one_state_while_a_writer_commits(self, database: Database) -> None:
        with database.reading() as reader:
            assert find_project(reader, "flights") is None
            with database.writing() as writer:
                save_project(writer, _PROJECT)
            assert find_project(reader, "flights") is None
        with database.reading() as reader:
            assert find_project(reader, "flights") == _PROJECT

    def test_a_reader_does_not_wait_for_a_writer(self, database: Database) -> None:
        with database.writing() as writer:
            save_project(writer, _PROJECT)
            begun = time.monotonic()
            with database.reading() as reader:
                assert find_project(reader, "flights") is None
            assert time.monotonic() - begun < 1

    def test_four_processes_write_at_once_and_nothing_is_lost(self, database: Database, folder: Path) -> None:
        context = get_context("spawn")
        writers = [context.Process(target=_write_each, args=(self.open, folder, series)) for series in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(60)
        assert [writer.exitcode for writer in writers] == [0] * 4
        assert [_places(database, series) for series in range(4)] == [list(range(50))] * 4

    def test_each_in_a_group_gets_its_own_answer_or_error(self, database: Database) -> None:
        groups: list[int] = []
        answers: dict[tuple[int, int], int] = {}
        errors: list[str] = []

        def close(connection: Connection, notes: Sequence[Any]) -> None:
            del connection
            groups.append(len(notes))

        def refuse(connection: Connection) -> None:
            add_point(connection, 99, 0)
            raise ValueError("no")

        def work(series: int) -> None:
            for at in range(30):
                answers[series, at] = database.grouped(partial(add_point, series=series, at=at), close, series)
                try:
                    database.grouped(refuse)
                except ValueError as error:
                    errors.append(str(error))

        threads = [threading.Thread(target=work, args=(series,)) for series in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert answers == {(series, at): at for series in range(8) for at in range(30)}
        assert errors == ["no"] * 240
        assert sum(groups) == 240
        assert [_places(database, series) for series in range(8)] == [list(range(30))] * 8
        assert _places(database, 99) == []

    @pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
    def test_a_number_beyond_64_bits_is_refused(self, database: Database, number: int) -> None:
        with pytest.raises(Invalid), database.writing() as connection:
            add_point(connection, 1, number)
        with pytest.raises(Invalid), database.reading() as connection:
            places_of(connection, number)
        assert _places(database, 1) == []

    def test_a_number_beyond_64_bits_is_refused_in_a_group(self, database: Database) -> None:
        """Whoever it meets there, whose work is done."""
        errors: list[Exception] = []
        begin = threading.Barrier(8)

        def work(series: int) -> None:
            begin.wait(60)
            for at in range(10):
                try:
                    database.grouped(partial(add_point, series=series, at=2**63 + at if series % 2 else at))
                except Exception as error:  # noqa: BLE001 - looked at below
                    errors.append(error)

        threads = [threading.Thread(target=work, args=(series,)) for series in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert [type(error) for error in errors] == [Invalid] * 40
        assert [_places(database, series) for series in range(0, 8, 2)] == [list(range(10))] * 4

    @pytest.mark.parametrize("hours", [None, 14])
    def test_a_time_that_is_none_is_refused(self, database: Database, hours: int | None) -> None:
        """One without a zone, and one before the first year there is."""
        zone = None if hours is None else timezone(timedelta(hours=hours))
        moment = datetime(1, 1, 1, tzinfo=zone)
        with pytest.raises(Invalid), database.writing() as connection:
            save_project(connection, msgspec.structs.replace(_PROJECT, updated_at=moment))

    def test_what_can_not_be_committed_is_an_error_of_everyone_in_the_group(self, database: Database) -> None:
        def fail(connection: Connection, notes: Sequence[Any]) -> None:
            del connection, notes
            raise RuntimeError("the count is broken")

        with pytest.raises(RuntimeError, match="broken"):
            database.grouped(partial(add_point, series=1, at=1), fail, None)
        assert _places(database, 1) == []
        assert database.grouped(partial(add_point, series=1, at=1)) == 1

    def test_what_was_acknowledged_survives_a_kill(self, database: Database, folder: Path) -> None:
        context = get_context("spawn")
        ready = context.Event()
        counts = [context.Value("q", 0) for _ in range(3)]
        writers = [
            context.Process(target=_write_in_groups, args=(self.open, folder, series, ready, count))
            for series, count in enumerate(counts)
        ]
        for writer in writers:
            writer.start()
        ready.set()
        for _ in range(600):
            if all(count.value > 20 for count in counts):
                break
            time.sleep(0.05)
        for writer in writers:
            writer.kill()
            writer.join(30)
        for series, count in enumerate(counts):
            assert count.value > 20
            # One more may be committed and not yet acknowledged.
            assert count.value <= len(_places(database, series)) <= count.value + 1


def _places(database: Database, series: int) -> list[int]:
    with database.reading() as connection:
        return places_of(connection, series)


def _write_each(opened: _Open, folder: Path, series: int) -> None:
    with opened(folder) as database:
        for at in range(50):
            with database.writing() as connection:
                add_point(connection, series, at)


def _write_in_groups(opened: _Open, folder: Path, series: int, ready: Event, acknowledged: Any) -> None:
    with opened(folder) as database:
        ready.wait(30)
        for at in range(100_000):
            database.grouped(partial(add_point, series=series, at=at))
            acknowledged.value = at + 1
