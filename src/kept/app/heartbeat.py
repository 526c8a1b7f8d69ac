"""The heartbeat of each process, so that anyone can see which are up."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

import msgspec

from kept.app import records
from kept.app.alive import BORN, birth_of
from kept.app.process import Process
from kept.core.clock import Clock
from kept.core.ids import new_id
from kept.store.database import Database

BEAT_SECONDS = 2.0


class Heartbeat:
    """One process's sign of life."""

    def __init__(self, database: Database, clock: Clock, kind: Literal["web", "work", "serve"], address: str) -> None:
        self._database = database
        self._clock = clock
        now, born = clock.now(), birth_of(os.getpid())
        self._always: dict[str, Any] = {} if born is None else {BORN: born}
        self._process = Process(
            id=new_id(),
            kind=kind,
            host=socket.gethostname(),
            pid=os.getpid(),
            address=address,
            started_at=now,
            seen_at=now,
            details=self._always,
        )

    def beat(self, **details: Any) -> None:
        """Says that the process lives, and how it is."""
        self._process = msgspec.structs.replace(
            self._process, seen_at=self._clock.now(), details=details | self._always
        )
        with self._database.writing() as connection:
            records.save_process(connection, self._process)

    def end(self) -> None:
        """Takes the process off the list."""
        with self._database.writing() as connection:
            records.remove_process(connection, self._process.id)


@contextmanager
def beating(heartbeat: Heartbeat) -> Iterator[None]:
    """Gives the sign of life beside what the process does. A database that is away stops nothing."""
    stopping = threading.Event()

    def beat() -> None:
        while True:
            with suppress(Exception):
                heartbeat.beat()
            if stopping.wait(BEAT_SECONDS):
                return

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(BEAT_SECONDS)
        with suppress(Exception):
            heartbeat.end()
