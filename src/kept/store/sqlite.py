"""Records in SQLite: WAL, one writer at a time with a queue in the process and one in the file system.

What is written alone is flushed to the disk. What is written in groups is handed to the operating system: it survives
the death of the process, and it is flushed with the next write that is.
"""

import fcntl
import logging
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event

from kept.core.errors import Damaged, Invalid, KeptError, Unavailable
from kept.core.ids import new_id
from kept.store.database import Database
from kept.store.grouping import Answer, Closing, GroupCommit, Work
from kept.store.revisions import Revisions, State

_PATIENCE_SECONDS = 30
_OUT_OF_USE = ("locked", "full", "unable to open", "I/O", "readonly")
_DAMAGED = ("malformed", "not a database", "Could not decode to UTF-8")
_TO_RESTORE = "Restore it from a backup"
_log = logging.getLogger(__name__)


class SqliteDatabase:
    """One SQLite file. Safe for any number of threads and processes on one machine."""

    def __init__(self, path: Path, revisions: Revisions | None = None) -> None:
        self._path = path
        self._revisions = revisions or Revisions()
        self._engine = _explaining(sqlite_engine(path), path)
        self._unflushed = _explaining(sqlite_engine(path, synchronous="NORMAL"), path)
        self._groups = GroupCommit(lambda: self._transaction(self._unflushed))
        # Of one that nobody closed they are closed with it.
        weakref.finalize(self, _give_back, self._engine, self._unflushed).atexit = False
        # Writers of this process queue here: the queue in the file system is one of naps, up to 100 ms long.
        self._turn = threading.Lock()

    def create(self) -> None:
        """Makes the tables where there are none, and brings those of an older Kept forward, after a copy.

        Whoever finds nothing to do waits for no writer. One process does it; others that come meanwhile wait for it.
        """
        with _held(self._path, fcntl.LOCK_SH):
            if self._is_there() and self._look() is State.CURRENT:
                return
        with _held(self._path, fcntl.LOCK_EX):
            state = self._look()
            if state is State.ABSENT:
                with self.writing() as connection:
                    self._revisions.make(connection)
            elif state is State.OLDER:
                self._bring_forward()

    def migrate(self) -> None:
        """As `create`: a file of one machine is brought forward by whoever opens it."""
        self.create()

    def revision(self) -> tuple[str | None, str]:
        """The revision of the tables, None where there are none; and the one that this Kept needs."""
        if not self._is_there():
            return None, self._revisions.head
        with self.reading() as connection:
            return self._revisions.find(connection), self._revisions.head

    @property
    def address(self) -> str:
        """Where it is."""
        return str(self._path)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view; it never waits for writers."""
        with self._engine.connect() as connection:
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
        _give_back(self._engine, self._unflushed)

    def _is_there(self) -> bool:
        try:
            return self._path.stat().st_size > 0
        except FileNotFoundError:
            return False

    def _look(self) -> State:
        with self.reading() as connection:
            return self._revisions.look(connection, str(self._path))

    def _bring_forward(self) -> None:
        with self.reading() as connection:
            found = self._revisions.find(connection)
        copy = self._path.with_name(f"{self._path.name}.revision-{found}")
        # Where only the mark of the revision is missing, no row is touched.
        touched = found != self._revisions.head
        if touched:
            self._copy(copy)
        engine = _explaining(sqlite_engine(self._path), self._path)
        try:
            with engine.connect() as connection:
                # A table that is made anew must not take with it what refers to it; checked before the commit.
                connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
                connection.rollback()
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                self._revisions.upgrade(connection)
                if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                    fix = f"Restore {copy.name} and report it"
                    raise Damaged("a reference leads nowhere after the migration", where=str(self._path), fix=fix)
                connection.commit()
        finally:
            engine.dispose()
        if touched:
            told = "%s: brought from revision %s to %s; as it was it is kept in %s"
            _log.warning(told, self._path, found, self._revisions.head, copy.name)

    def _copy(self, copy: Path) -> None:
        """A copy of one moment, whole and on the disk, or none."""
        # Whoever was here before and died may have left its own; nobody else is here now.
        for left in copy.parent.glob(f"{copy.name}.*.new"):
            left.unlink(missing_ok=True)
        temporary = copy.with_name(f"{copy.name}.{new_id()}.new")
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("VACUUM INTO ?", (str(temporary),))
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(copy)
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        if not self._turn.acquire(timeout=_PATIENCE_SECONDS):
            fix = "Look for a long transaction of this process, then try again"
            raise Unavailable("another writer holds the database", where=str(self._path), fix=fix)
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.rollback()
                    raise
                connection.commit()
        finally:
            self._turn.release()


def _give_back(*engines: Engine) -> None:
    for engine in engines:
        engine.dispose()


def sqlite_engine(path: Path, *, synchronous: str = "FULL") -> Engine:
    """An engine whose transactions begin where we say, in WAL."""
    # Not `autocommit`, as newer Pythons have it: its transactions begin where Python says, or never end.
    connect_args = {"timeout": _PATIENCE_SECONDS, "check_same_thread": False, "isolation_level": None}
    engine = create_engine(f"sqlite:///{path}", connect_args=connect_args)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: object) -> None:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except UnicodeDecodeError as error:
            # The first statement reads the tables' definitions, and an error over them quotes them.
            raise Damaged("the definitions of its tables are no text", where=str(path), fix=_TO_RESTORE) from error
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA foreign_keys=ON")
        # As in every other database: LIKE tells upper from lower case, ILIKE does not.
        connection.execute("PRAGMA case_sensitive_like=ON")

    return engine


@contextmanager
def _held(path: Path, kind: int) -> Iterator[None]:
    """The lock of those who make or change the tables of a file. The kernel gives it back however a process ends."""
    try:
        lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        fix = "Free space or check who may use the folder, then try again"
        raise Unavailable(f"the database cannot be used ({error.strerror})", where=str(path), fix=fix) from error
    try:
        fcntl.flock(lock, kind)
        yield
    finally:
        os.close(lock)


def _explaining(engine: Engine, path: Path) -> Engine:
    """The engine, whose errors say what they mean to a person; also those of one piece of work among others."""

    @event.listens_for(engine, "handle_error")
    def _explain(context: ExceptionContext) -> KeptError | None:
        return _explained(context.original_exception, path)

    return engine


def _explained(error: BaseException, path: Path) -> KeptError | None:
    """What an error means to a person; None for one that is a fault of ours."""
    if isinstance(error, KeptError):
        # A value that a column refuses, before it is sent.
        return error
    if isinstance(error, OverflowError):
        fix = "Send a whole number of at most 64 bits"
        return Invalid("the database cannot hold so large a number", fix=fix)
    said = str(error)
    if isinstance(error, sqlite3.OperationalError) and any(reason in said for reason in _OUT_OF_USE):
        fix = "Free space or check who holds the file, then try again"
        return Unavailable(f"the database cannot be used ({said})", where=str(path), fix=fix)
    if isinstance(error, sqlite3.DatabaseError) and any(reason in said for reason in _DAMAGED):
        return Damaged(said, where=str(path), fix=_TO_RESTORE)
    return None


def _fits(database: SqliteDatabase) -> Database:
    return database
