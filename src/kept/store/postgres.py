"""Records in PostgreSQL, for more than one machine: one writer at a time, readers beside it.

Every write takes one advisory lock first, so that what the records promise of SQLite holds here: the audit chain and
all counted numbers (versions, revisions, labels) are read and continued by one writer. Serializable transactions would
have to be done again by the caller when two of them meet; a lock that is waited for asks nothing of the caller. It
goes with the transaction, also when its process dies. It belongs to the schema, so two workspaces in two schemas of one
database do not wait for each other. Small writes share a transaction, and with it the lock and the flush.
"""

import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoneFree

from kept.core.errors import Away, Conflict, Damaged, Invalid, KeptError, Unavailable
from kept.store.database import Database
from kept.store.grouping import Answer, Closing, GroupCommit, Work
from kept.store.revisions import Revisions, State

_PATIENCE_SECONDS = 30
_NAP_SECONDS = 0.1
_KEY = 0x6B657074  # "kept"
_LOCK = text(f"SELECT pg_advisory_xact_lock({_KEY}, hashtext(coalesce(current_schema(), '')))")
# Begins the view now: a snapshot is taken by the first query.
_LOOK = text("SELECT 1")
# Codes of PostgreSQL's manual, appendix A.
_DAMAGED, _LOCK_TIMEOUT, _NO_TABLE, _TOO_LONG = ("XX001", "XX002"), "55P03", "42P01", "54000"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_REFUSED = ("password authentication failed", "no password supplied", "does not exist", "no pg_hba.conf entry")


class PostgresDatabase:
    """One schema of a PostgreSQL database (version 13 or newer). Safe for any number of threads, processes, machines.

    Args:
        url: `postgresql://user@host:port/name`, with any parameter of libpq.
        patience: seconds for which a server that is away is waited for before a transaction begins.
    """

    def __init__(self, url: str, *, patience: float = 10, revisions: Revisions | None = None) -> None:
        place = _parsed(url)
        self._where = place.set(drivername="postgresql", query={}).render_as_string(hide_password=True)
        self._patience = patience
        self._revisions = revisions or Revisions()
        self._place = place
        self._engine = _engine(place, self._where)
        self._snapshots = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._groups = GroupCommit(self.writing)
        # Writers of this process queue here, without holding a connection each.
        self._turn = threading.Lock()
        # Nobody has to close it: psycopg warns of connections that are forgotten.
        weakref.finalize(self, self._engine.dispose)

    def create(self) -> None:
        """Makes the tables where there are none. Where they are, nothing is written: who only reads waits for no writer.

        Tables of an older Kept are a `Conflict`: others may be using them, so `migrate` is called by a person.
        """
        with self.reading() as connection:
            state = self._revisions.look(connection, self._where)
        if state is State.ABSENT:
            with self.writing() as connection:
                # Another process may have been quicker.
                state = self._revisions.look(connection, self._where)
                if state is State.ABSENT:
                    self._revisions.make(connection)
        if state is State.OLDER:
            found, needed = self.revision()
            fix = "Stop every Kept that uses this database, back it up, then run kept workspace migrate"
            raise Conflict(f"the tables have revision {found}, this Kept needs {needed}", where=self._where, fix=fix)

    def migrate(self) -> None:
        """Makes the tables, or brings those of an older Kept forward, in one transaction that keeps writers waiting."""
        with self.writing() as connection:
            state = self._revisions.look(connection, self._where)
            if state is State.ABSENT:
                self._revisions.make(connection)
            elif state is State.OLDER:
                self._revisions.upgrade(connection)

    def revision(self) -> tuple[str | None, str]:
        """The revision of the tables, None where there are none; and the one that this Kept needs."""
        with self.reading() as connection:
            return self._revisions.find(connection), self._revisions.head

    @property
    def address(self) -> str:
        """Where it is, without a password."""
        return _without_password(self._place)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view; it never waits for writers."""
        with self._begun(self._snapshots, _LOOK) as connection:
            yield connection

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that is on the server's disk when the block ends. It takes the write lock at once."""
        return self._transaction()

    def grouped(self, work: Work[Answer], closing: Closing | None = None, note: Any = None) -> Answer:
        """Does a small write in a transaction that it may share with others of the same moment; it is flushed too."""
        return self._groups.run(work, closing, note)

    def close(self) -> None:
        """Gives the connections back."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        if not self._turn.acquire(timeout=_PATIENCE_SECONDS):
            fix = "Look for a long transaction of this process, then try again"
            raise Unavailable("another writer holds the database", where=self._where, fix=fix)
        try:
            with self._begun(self._engine, _LOCK) as connection:
                yield connection
                connection.commit()
        finally:
            self._turn.release()

    @contextmanager
    def _begun(self, engine: Engine, first: Any) -> Iterator[Connection]:
        """A connection whose transaction has begun with a query; what is not committed is rolled back."""
        connection = self._connected(engine, first)
        try:
            yield connection
        finally:
            connection.close()

    def _connected(self, engine: Engine, first: Any) -> Connection:
        patient_until = time.monotonic() + self._patience
        while True:
            try:
                return _first_done(engine, first)
            except Away:
                # A restart of the server also ends the connections that were kept: the next one is new.
                if time.monotonic() >= patient_until:
                    raise
                time.sleep(_NAP_SECONDS)
            except NoneFree as error:
                fix = "Look for long reads of this process, then try again"
                raise Unavailable("all connections are in use", where=self._where, fix=fix) from error


def _first_done(engine: Engine, first: Any) -> Connection:
    connection = engine.connect()
    try:
        connection.execute(first)
    except BaseException:
        connection.close()
        raise
    return connection


def _parsed(url: str) -> URL:
    try:
        place = make_url(url)
    except ArgumentError as error:
        # The address may hold a password: it is not shown.
        fix = "Write it like postgresql://user@host:5432/name"
        raise Invalid("it is no address of a database", where="database", fix=fix) from error
    if place.get_backend_name() not in {"postgresql", "postgres"}:
        fix = "Write it like postgresql://user@host:5432/name, or leave it empty for SQLite in the workspace's folder"
        raise Invalid(f"{place.get_backend_name()} is no database that Kept knows", where="database", fix=fix)
    return place.set(drivername="postgresql+psycopg")


def same_place(one: str, other: str) -> bool:
    """Whether two addresses name the same schema of the same database, whoever uses it and how."""
    return _spot(_parsed(one)) == _spot(_parsed(other))


def is_near(address: str) -> bool:
    """Whether the server is on this machine: on loopback, or behind a socket of the file system."""
    place = _parsed(address)
    hosts = {place.host, place.query.get("host"), place.query.get("hostaddr")} - {None, ""}
    return all(str(host).startswith("/") or host in _LOOPBACK for host in hosts) and "service" not in place.query


def _spot(place: URL) -> tuple[Any, ...]:
    query = place.query
    host, port = place.host or query.get("host") or "", place.port or query.get("port") or 5432
    return host, int(str(port)), place.database or query.get("dbname") or place.username, query.get("options") or ""


def _without_password(place: URL) -> str:
    query = {name: value for name, value in place.query.items() if "password" not in name.lower()}
    shown = URL.create("postgresql", place.username, None, place.host, place.port, place.database, query)
    return shown.render_as_string(hide_password=False)


def _engine(place: URL, where: str) -> Engine:
    given = {} if "connect_timeout" in place.query else {"connect_timeout": 10}
    engine = create_engine(place, pool_size=10, max_overflow=20, pool_timeout=_PATIENCE_SECONDS, connect_args=given)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: object) -> None:
        connection.execute(f"SET lock_timeout = '{_PATIENCE_SECONDS}s'")
        # The searches are short: compiling them takes longer than they do.
        connection.execute("SET jit = off")
        # Sets of runs that a search finds are kept whole: a million takes about so much.
        connection.execute("SET work_mem = '64MB'")
        connection.commit()

    @event.listens_for(engine, "handle_error")
    def _explain(context: ExceptionContext) -> KeptError | None:
        return _explained(context, where)

    return engine


def _explained(context: ExceptionContext, where: str) -> KeptError | None:
    """What an error of the server means to a person; None for one that is a fault of ours."""
    error = context.sqlalchemy_exception
    state = getattr(context.original_exception, "sqlstate", None) or ""
    said = " ".join(str(context.original_exception).split())
    found: KeptError | None = None
    if isinstance(context.original_exception, KeptError):
        # A value that a column refuses, before it is sent.
        found = context.original_exception
    elif state in _DAMAGED:
        found = Damaged(said, where=where, fix="Restore it from a backup")
    elif state == _LOCK_TIMEOUT:
        fix = "Look for a long transaction of another process, then try again"
        found = Unavailable("another writer holds the database", where=where, fix=fix)
    elif state == _NO_TABLE:
        found = Unavailable("the tables of Kept are not there", where=where, fix="Start kept up or kept web once")
    elif isinstance(error, DataError) or state == _TOO_LONG:
        fix = "Send a shorter text or a smaller number"
        found = Invalid(f"the database cannot hold it ({said})", where=where, fix=fix)
    elif isinstance(error, OperationalError | InterfaceError) or context.is_disconnect:
        if any(reason in said for reason in _REFUSED):
            fix = "Check user, password and name of the database; KEPT_DATABASE or PGPASSWORD gives a password"
            found = Unavailable(f"the server refuses ({said})", where=where, fix=fix)
        else:
            fix = "Check that the server runs and can be reached, then try again"
            found = Away(f"the database cannot be used ({said})", where=where, fix=fix)
    return found


def _fits(database: PostgresDatabase) -> Database:
    return database
