import multiprocessing
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, text

from kept.core.errors import Damaged
from kept.plan.records import ProjectRecord, find_project, save_project
from kept.store.schema import points
from kept.store.sqlite import SqliteDatabase


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    made = SqliteDatabase(tmp_path / "kept.db")
    made.create()
    yield made
    made.close()


def project(name: str) -> ProjectRecord:
    return ProjectRecord(
        name=name,
        question="?",
        owner="me",
        plan={"window": "P1D"},
        plan_digest="sha256:0",
        source="/p.py",
        updated_at=datetime(2013, 4, 1, 0, 0, 0, 123456, tzinfo=UTC),
    )


def test_facts_come_back_as_they_were(database: SqliteDatabase) -> None:
    with database.writing() as connection:
        save_project(connection, project("flights"))
    with database.reading() as connection:
        assert find_project(connection, "flights") == project("flights")


def test_a_transaction_that_raises_leaves_nothing(database: SqliteDatabase) -> None:
    with pytest.raises(RuntimeError), database.writing() as connection:
        save_project(connection, project("flights"))
        raise RuntimeError
    with database.reading() as connection:
        assert find_project(connection, "flights") is None


def test_a_reader_sees_one_state_while_a_writer_commits(database: SqliteDatabase) -> None:
    with database.reading() as reader:
        assert find_project(reader, "flights") is None
        with database.writing() as writer:
            save_project(writer, project("flights"))
        assert find_project(reader, "flights") is None


def _add(path: Path, worker: int) -> None:
    database = SqliteDatabase(path)
    for step in range(50):
        with database.writing() as connection:
            row = {"series": worker, "step": step, "value": 1.0, "at": step, "nan": 0}
            connection.execute(points.insert().values(**row))
    database.close()


def test_four_processes_write_at_once_and_nothing_is_lost(database: SqliteDatabase, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add, args=(tmp_path / "kept.db", number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    with database.reading() as connection:
        assert len(connection.execute(select(points.c.step)).all()) == 200


def test_every_commit_is_flushed(database: SqliteDatabase) -> None:
    with database.reading() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"


def test_a_file_that_is_no_database_is_said_to_be_damaged(tmp_path: Path) -> None:
    (tmp_path / "kept.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(Damaged, match="Restore it from a backup"):
        SqliteDatabase(tmp_path / "kept.db").create()
