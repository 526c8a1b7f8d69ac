"""The seam to the database of records."""

from contextlib import AbstractContextManager
from typing import Any, Protocol

from sqlalchemy import Connection

from kept.store.grouping import Answer, Closing, Work


class Database(Protocol):
    """Gives transactions. Only `kept.*.records` write SQL on the connections it hands out."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A consistent view; it never waits for writers."""
        ...

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction: committed and durable when the block ends, rolled back when it raises."""
        ...

    def grouped(self, work: Work[Answer], closing: Closing | None = None, note: Any = None) -> Answer:
        """Does a small write in a transaction that it may share with others of the same moment, and gives its answer.

        It is all or nothing. Once it is answered it survives the death of the process, but not that of the machine.
        `closing` is called once for each transaction with the notes of all the work in it.
        """
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

    def grouped(self, work: Work[Answer], closing: Closing | None = None, note: Any = None) -> Answer:
        """Does the work in the transaction."""
        answer = work(self._connection)
        if closing is not None:
            closing(self._connection, [note])
        return answer


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
