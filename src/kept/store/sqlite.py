"""Records in SQLite: WAL, one writer at a time with a queue in the process and one in the file system.

What is written alone is flushed to the disk. What is written in groups is handed to the operating system: it survives
the death of the process, and it is flushed with the next write that is.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.exc import DatabaseError, OperationalError

from kept.core.errors import Damaged, Unavailable
from kept.store.database import Database
from kept.store.grouping import Answer, Closing, GroupCommit, Work
from kept.store.schema import metadata

_PATIENCE_SECONDS = 30


class SqliteDatabase:
    """One SQLite file. Safe for any number of threads and processes on one machine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = sqlite_engine(path)
        self._unflushed = sqlite_engine(path, synchronous="NORMAL")
        self._groups = GroupCommit(lambda: self._transaction(self._unflushed))
        # Writers of this process queue here: the queue in the file system is one of naps, up to 100 ms long.
        self._turn = threading.Lock()

    def create(self) -> None:
        """Makes the tables that are missing. Where none is, nothing is written: whoever only reads waits for no writer."""
        with self.reading() as connection:
            if set(metadata.tables) <= set(inspect(connection).get_table_names()):
                return
        with self.writing() as connection:
            metadata.create_all(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view; it never waits for writers."""
        with _explained(self._path), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that is on the disk when the block ends.

        It takes the write lock at once, so two writers queue here and never deadlock half-way.
        """
        return self._transaction(self._engine)

    def grouped(self, work: Work[Answer], closing: Closing | None = None, note: Any = None) -> Answer:
        """Does a small write in a transaction that it may share with others of the same moment."""
        return self._groups.run(work, closing, note)

    def close(self) -> None:
        """Gives the connections back."""
        self._engine.dispose()
        self._unflushed.dispose()

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        if not self._turn.acquire(timeout=_PATIENCE_SECONDS):
            fix = "Look for a long transaction of this process, then try again"
            raise Unavailable("another writer holds the database", where=str(self._path), fix=fix)
        try:
            with _explained(self._path), engine.connect() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.rollback()
                    raise
                connection.commit()
        finally:
            self._turn.release()


def sqlite_engine(path: Path, *, synchronous: str = "FULL") -> Engine:
    """An engine whose transactions begin where we say, in WAL."""
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": _PATIENCE_SECONDS, "check_same_thread": False, "autocommit": True}
        if hasattr(sqlite3, "LEGACY_TRANSACTION_CONTROL")
        else {"timeout": _PATIENCE_SECONDS, "check_same_thread": False, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA foreign_keys=ON")
        # As in every other database: LIKE tells upper from lower case, ILIKE does not.
        connection.execute("PRAGMA case_sensitive_like=ON")

    return engine


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        if "locked" in str(error) or "full" in str(error) or "unable to open" in str(error) or "I/O" in str(error):
            fix = "Free space or check who holds the file, then try again"
            raise Unavailable(f"the database cannot be used ({error.orig})", where=str(path), fix=fix) from error
        raise
    except DatabaseError as error:
        if "malformed" in str(error) or "not a database" in str(error):
            raise Damaged(f"{error.orig}", where=str(path), fix="Restore it from a backup") from error
        raise


def _fits(database: SqliteDatabase) -> Database:
    return database
