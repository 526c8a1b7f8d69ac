"""Group commit: the small writes of callers that come at the same time share one transaction.

Whoever comes while nobody commits leads: it does the waiting pieces of work in one transaction, each all or nothing by
a savepoint, commits, and wakes the others with their answers. Those who come meanwhile are the next group.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from sqlalchemy import Connection

Answer = TypeVar("Answer")
Work = Callable[[Connection], Answer]
Closing = Callable[[Connection, Sequence[Any]], None]
_MOST = 64


class _Waiting:
    """A piece of work in the queue; its thread sleeps on `bed` until the work is done or it is to lead."""

    def __init__(self, work: Work[Any], closing: Closing | None, note: Any) -> None:
        self.work = work
        self.closing = closing
        self.note = note
        self.bed = threading.Lock()
        self.bed.acquire()
        self.done = False
        self.answer: Any = None
        self.error: BaseException | None = None


class GroupCommit:
    """Runs pieces of work of many threads in shared transactions.

    Args:
        transaction: begins a transaction that takes the write lock, and commits it at its end.
    """

    def __init__(self, transaction: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._transaction = transaction
        self._mutex = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._led = False

    def run(self, work: Work[Answer], closing: Closing | None = None, note: Any = None) -> Answer:
        """The work's answer once its transaction is committed; its error when it raises, and then nothing of it is kept.

        `closing` is called once for each group with the notes of all its work that did not raise.
        """
        waiting = _Waiting(work, closing, note)
        with self._mutex:
            self._queue.append(waiting)
            leads, self._led = not self._led, True
        if not leads:
            waiting.bed.acquire()
        if not waiting.done:
            self._lead(waiting)
        if waiting.error is not None:
            raise waiting.error
        answer: Answer = waiting.answer
        return answer

    def _lead(self, leader: _Waiting) -> None:
        with self._mutex:
            group = [self._queue.popleft() for _ in range(min(_MOST, len(self._queue)))]
        try:
            with self._transaction() as connection:
                _do(connection, group)
        except BaseException as error:  # noqa: BLE001 - what kept the group from being committed is the error of each
            for waiting in group:
                waiting.error = waiting.error or error
        for waiting in group:
            waiting.done = True
            if waiting is not leader:
                waiting.bed.release()
        with self._mutex:
            self._led = bool(self._queue)
            following = self._queue[0] if self._queue else None
        if following is not None:
            following.bed.release()


def _do(connection: Connection, group: list[_Waiting]) -> None:
    if len(group) == 1:
        # Alone it is the transaction: what it raises ends it.
        alone = group[0]
        alone.answer = alone.work(connection)
        if alone.closing is not None:
            alone.closing(connection, [alone.note])
        return
    notes: dict[Closing, list[Any]] = {}
    for waiting in group:
        connection.exec_driver_sql("SAVEPOINT work")
        try:
            waiting.answer = waiting.work(connection)
        except Exception as error:  # noqa: BLE001 - it is handed to the one whose work it is
            waiting.error = error
            try:
                connection.exec_driver_sql("ROLLBACK TO work")
            except Exception:  # noqa: BLE001 - the database has ended the transaction: why it did is the error of all in it
                raise error from None
        else:
            if waiting.closing is not None:
                notes.setdefault(waiting.closing, []).append(waiting.note)
        connection.exec_driver_sql("RELEASE work")
    for closing, noted in notes.items():
        closing(connection, noted)
