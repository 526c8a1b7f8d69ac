import threading
from collections.abc import Iterator, Sequence
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select

from kept.store.database import Joined
from kept.store.schema import points
from kept.store.sqlite import SqliteDatabase


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    made = SqliteDatabase(tmp_path / "kept.db")
    made.create()
    yield made
    made.close()


def _put(connection: Connection, series: int, at: int) -> int:
    connection.execute(insert(points).values(series=series, at=at, step=0, value=0.5, nan=0))
    return at


def _count(database: SqliteDatabase) -> int:
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(points)).scalar_one())


def test_each_gets_its_own_answer_or_error(database: SqliteDatabase) -> None:
    groups: list[int] = []
    answers: dict[tuple[int, int], int] = {}
    errors: list[str] = []

    def close(connection: Connection, notes: Sequence[Any]) -> None:
        del connection
        groups.append(len(notes))

    def work(number: int) -> None:
        for at in range(30):
            answers[number, at] = database.grouped(partial(_put, series=number, at=at), close, number)
            try:
                database.grouped(_refuse)
            except ValueError as error:
                errors.append(str(error))

    def _refuse(connection: Connection) -> None:
        _put(connection, 99, 0)
        raise ValueError("no")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == {(number, at): at for number in range(8) for at in range(30)}
    assert errors == ["no"] * 240
    assert sum(groups) == 240
    assert _count(database) == 240


def test_what_can_not_be_committed_is_an_error_of_everyone_in_the_group(database: SqliteDatabase) -> None:
    def fail(connection: Connection, notes: Sequence[Any]) -> None:
        del connection, notes
        raise RuntimeError("the count is broken")

    with pytest.raises(RuntimeError, match="broken"):
        database.grouped(lambda connection: _put(connection, 1, 1), fail, None)
    assert _count(database) == 0
    assert database.grouped(lambda connection: _put(connection, 1, 1)) == 1


def test_inside_a_transaction_it_is_part_of_it(database: SqliteDatabase) -> None:
    with pytest.raises(KeyError), database.writing() as connection:
        Joined(connection).grouped(lambda inside: _put(inside, 1, 1))
        raise KeyError
    assert _count(database) == 0


def _write(path: Path, number: int, ready: Event, acknowledged: Any) -> None:
    database = SqliteDatabase(path)
    ready.wait(30)
    for at in range(100_000):
        database.grouped(partial(_put, series=number, at=at))
        acknowledged.value = at + 1


def test_what_was_acknowledged_survives_a_kill(database: SqliteDatabase, tmp_path: Path) -> None:
    context = get_context("spawn")
    ready = context.Event()
    counts = [context.Value("q", 0) for _ in range(3)]
    writers = [
        context.Process(target=_write, args=(tmp_path / "kept.db", number, ready, count))
        for number, count in enumerate(counts)
    ]
    for writer in writers:
        writer.start()
    ready.set()
    for _ in range(600):
        if all(count.value > 20 for count in counts):
            break
        threading.Event().wait(0.05)
    for writer in writers:
        writer.kill()
        writer.join(30)
    with database.reading() as connection:
        query = select(points.c.series, func.count().label("times")).group_by(points.c.series)
        kept = {row.series: row.times for row in connection.execute(query)}
    for number, count in enumerate(counts):
        assert count.value > 20
        # One more may be committed and not yet acknowledged.
        assert count.value <= kept[number] <= count.value + 1
