"""The seam to the database of records."""

from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import Connection


class Database(Protocol):
    """Gives transactions. Only `kept.*.records` write SQL on the connections it hands out."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A consistent view; it never waits for writers."""
        ...

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction: committed and durable when the block ends, rolled back when it raises."""
        ...


class Joined:
    """A database that is inside a transaction already: what is done through it commits or fails with the whole."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def reading(self) -> AbstractContextManager[Connection]:
        """The transaction's own view."""
        return _Borrowed(self._connection)

    def writing(self) -> AbstractContextManager[Connection]:
        """The transaction itself."""
        return _Borrowed(self._connection)


class _Borrowed:
    """Hands out a connection that somebody else commits."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> Connection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        return None


def _fits(joined: Joined) -> Database:
    return joined
