"""What is so of SQLite only; what every database does is in its conformance kit."""

import gc
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

from kept.core.errors import Damaged
from kept.store.database import Joined
from kept.store.schema import experiment_tags
from kept.store.sqlite import SqliteDatabase
from kept.testing.records import add_point, places_of


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    made = SqliteDatabase(tmp_path / "kept.db")
    made.create()
    yield made
    made.close()


def test_every_commit_is_flushed(database: SqliteDatabase) -> None:
    with database.reading() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"


def test_a_file_that_is_no_database_is_said_to_be_damaged(tmp_path: Path) -> None:
    (tmp_path / "kept.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(Damaged, match="Restore it from a backup"):
        SqliteDatabase(tmp_path / "kept.db").create()


def test_a_file_with_rotten_bytes_is_said_to_be_damaged_whatever_they_were(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    with database.writing() as connection:
        connection.execute(insert(experiment_tags).values(experiment=1, name="a", value="rotten"))
    database.close()
    whole = (tmp_path / "kept.db").read_bytes()
    for before, after in ((b"CREATE TABLE", b"CREATE \xff\xff\xff\xff\xff"), (b"arotten", b"a\xffotten")):
        assert before in whole
        (tmp_path / "rotten.db").write_bytes(whole.replace(before, after))
        with closing(SqliteDatabase(tmp_path / "rotten.db")) as rotten, pytest.raises(Damaged, match="from a backup"):
            rotten.create()
            with rotten.reading() as connection:
                connection.execute(select(experiment_tags)).all()


def test_a_group_inside_a_transaction_is_part_of_it(database: SqliteDatabase) -> None:
    with pytest.raises(KeyError), database.writing() as connection:
        Joined(connection).grouped(partial(add_point, series=1, at=1))
        raise KeyError
    with database.reading() as connection:
        assert places_of(connection, 1) == []


def test_opening_again_waits_for_no_writer(database: SqliteDatabase, tmp_path: Path) -> None:
    again = SqliteDatabase(tmp_path / "kept.db")
    begun = time.monotonic()
    with database.writing():
        again.create()
    again.close()
    # A writer is waited for thirty seconds.
    assert time.monotonic() - begun < 10


def test_one_that_nobody_closed_closes_what_it_opened(tmp_path: Path) -> None:
    # From Python 3.13 on a connection that is left open warns, and warnings are errors.
    made = SqliteDatabase(tmp_path / "left.db")
    made.create()
    assert open_files(tmp_path / "left.db")
    del made
    gc.collect()
    assert not open_files(tmp_path / "left.db")


def open_files(path: Path) -> list[str]:
    """The descriptors of this process that lead to a file."""
    found = [str(one.readlink()) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
    return [one for one in found if one == str(path)]
