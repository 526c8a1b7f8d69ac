"""What shares a transaction is all or nothing each for itself; what is alone in one, too."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from kept.core.errors import Unavailable
from kept.store.database import Database
from kept.store.schema import experiment_tags

pytestmark = pytest.mark.each_database


def put(connection: Connection, name: str) -> str:
    connection.execute(insert(experiment_tags).values(experiment=1, name=name, value=""))
    return name


def names(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.execute(select(experiment_tags.c.name).order_by(experiment_tags.c.name)).scalars())


def thirty_at_once(database: Database, do: Callable[[int], None]) -> None:
    """Thirty threads, each with its number, which gather while somebody else writes."""
    threads = [threading.Thread(target=do, args=(number,)) for number in range(30)]
    with database.writing():
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()


def test_work_that_is_alone_is_kept_with_its_closing(database: Database) -> None:
    def close(connection: Connection, notes: Sequence[Any]) -> None:
        put(connection, f"noted {list(notes)}")

    assert database.grouped(lambda connection: put(connection, "done"), close, 7) == "done"
    assert names(database) == ["done", "noted [7]"]


def test_work_that_is_alone_and_fails_leaves_nothing(database: Database) -> None:
    def fail(connection: Connection) -> None:
        put(connection, "half")
        raise KeyError("work")

    def close(connection: Connection, _: Sequence[Any]) -> None:
        put(connection, "noted")

    with pytest.raises(KeyError, match="work"):
        database.grouped(fail, close)
    assert names(database) == []
    assert database.grouped(lambda connection: put(connection, "next")) == "next"


def test_a_closing_that_fails_takes_the_work_with_it(database: Database) -> None:
    def close(_: Connection, __: Sequence[Any]) -> None:
        raise KeyError("closing")

    with pytest.raises(KeyError, match="closing"):
        database.grouped(lambda connection: put(connection, "half"), close)
    assert names(database) == []


def test_of_work_that_comes_together_only_what_fails_is_undone(database: Database) -> None:
    errors: list[int] = []

    def work(connection: Connection, number: int) -> None:
        put(connection, f"{number:02}")
        if number % 3 == 0:
            raise KeyError(number)

    def do(number: int) -> None:
        try:
            database.grouped(lambda connection: work(connection, number))
        except KeyError:
            errors.append(number)

    thirty_at_once(database, do)
    assert sorted(errors) == list(range(0, 30, 3))
    assert names(database) == [f"{number:02}" for number in range(30) if number % 3]


def test_when_the_transaction_is_ended_under_one_all_that_came_with_it_are_told_why(database: Database) -> None:
    """As it is when a connection is cut or a disk is full: there is nothing to go back to."""
    done: list[str] = []
    errors: list[Exception] = []

    def work(connection: Connection, number: int) -> str:
        put(connection, f"{number:02}")
        if number % 10 == 3:
            connection.exec_driver_sql("ROLLBACK")
            raise Unavailable("the connection was cut", fix="Try again")
        return f"{number:02}"

    def do(number: int) -> None:
        try:
            done.append(database.grouped(lambda connection: work(connection, number)))
        except Exception as error:  # noqa: BLE001 - looked at below
            errors.append(error)

    thirty_at_once(database, do)
    assert {type(error) for error in errors} == {Unavailable}
    assert len(errors) + len(done) == 30
    assert names(database) == sorted(done)
    assert database.grouped(lambda connection: put(connection, "next")) == "next"
