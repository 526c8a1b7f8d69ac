"""Records in SQLite: WAL, full synchronisation, one writer at a time with a queue in the file system."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError, OperationalError

from kept.core.errors import Damaged, Unavailable
from kept.store.database import Database
from kept.store.schema import metadata

_PATIENCE_SECONDS = 30


class SqliteDatabase:
    """One SQLite file. Safe for any number of threads and processes on one machine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = sqlite_engine(path)

    def create(self) -> None:
        """Makes the tables that are missing."""
        with self.writing() as connection:
            metadata.create_all(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view; it never waits for writers."""
        with _explained(self._path), self._engine.connect() as connection:
            connection.execute(text("BEGIN"))
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is on the disk when the block ends.

        It takes the write lock at once, so two writers queue here and never deadlock half-way.
        """
        with _explained(self._path), self._engine.connect() as connection:
            connection.execute(text("BEGIN IMMEDIATE"))
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def close(self) -> None:
        """Gives the connections back."""
        self._engine.dispose()


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
