from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from kept.store.sqlite import SqliteDatabase
from kept.testing.database import DatabaseKit


class TestSqliteDatabase(DatabaseKit):
    @contextmanager
    def open(self, folder: Path) -> Iterator[SqliteDatabase]:
        with closing(SqliteDatabase(folder / "kept.db")) as database:
            database.create()
            yield database
