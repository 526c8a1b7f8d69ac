"""The durable engine: the one module that knows DBOS.

It keeps which runs are under way and what their steps gave, so that a run goes on by itself after the process died at
any moment. Only run ids and digests go through it, as JSON.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID
from sqlalchemy import Engine as Sql
from sqlalchemy import event

from kept.pipelines.ledger import Ledger
from kept.store.sqlite import sqlite_engine

_NAME = "kept"
_WORKFLOW = "kept.run"
# Runs are tied to what they recorded, not to a version of Kept: every version goes on with every run.
_VERSION = "1"
_MOST_RECOVERIES = 50
_ENDED = {"SUCCESS", "ERROR", "CANCELLED"}
_GIVEN_UP = "MAX_RECOVERY_ATTEMPTS_EXCEEDED"


class Engine:
    """Runs `drive(run_id, ledger)` for every run submitted, and again for those that a dead process left behind.

    DBOS is one per process, so an `Engine` is, too: it is for who has the `Claim`.
    """

    def __init__(self, path: Path, drive: Callable[[str, Ledger], Awaitable[None]]) -> None:
        self._path = path
        self._drive = drive
        self._database: Any = None
        self._workflow: Any = None

    def start(self) -> None:
        """Starts; runs that were under way go on."""
        # DBOS takes the event loop of the thread it is launched in for its own: it gets a thread without one.
        failed: list[BaseException] = []
        thread = threading.Thread(target=self._launch, args=(failed,), name="pipelines-launch")
        thread.start()
        thread.join()
        if failed:
            self.stop()
            raise failed[0]

    def submit(self, run_id: str) -> None:
        """Puts a run on its way. One that is under way or ended stays as it is."""
        with SetWorkflowID(run_id):
            DBOS.start_workflow(self._workflow, run_id)

    def resubmit(self, run_id: str) -> None:
        """Forgets what is noted of a run and puts it on its way from its beginning."""
        DBOS.delete_workflow(run_id)
        self.submit(run_id)

    def state(self, run_id: str) -> Literal["unknown", "under way", "ended", "given up"]:
        """What the engine knows of a run; it gives one up when process after process died of it."""
        status = DBOS.get_workflow_status(run_id)
        if status is None:
            return "unknown"
        if status.status == _GIVEN_UP:
            return "given up"
        return "ended" if status.status in _ENDED else "under way"

    def stop(self) -> None:
        """Stops. Runs that are under way go on at the next start."""
        DBOS.destroy(destroy_registry=True)
        if self._database is not None:
            self._database.dispose()
            self._database = None

    def _launch(self, failed: list[BaseException]) -> None:
        try:
            self._database = _with_subseconds(sqlite_engine(self._path))
            # It hands on the handlers of an earlier launch in this process, whose stream may be closed by now.
            logging.getLogger("dbos").handlers.clear()
            DBOS(config=self._config())
            # A filter, since DBOS sets the level itself: what it warns of is our daily business.
            logging.getLogger("dbos").setLevel(logging.CRITICAL)
            drive = self._drive

            @DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=_MOST_RECOVERIES)
            async def workflow(run_id: str) -> None:
                await drive(run_id, _DbosLedger())

            self._workflow = workflow
            DBOS.launch()
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            failed.append(error)

    def _config(self) -> DBOSConfig:
        return {
            "name": _NAME,
            "system_database_url": f"sqlite:///{self._path}",
            "system_database_engine": self._database,
            "serializer": DBOSPortableJSONSerializer(),
            "application_version": _VERSION,
            "executor_id": _NAME,
            "log_level": "CRITICAL",
            "console_log_level": "CRITICAL",
            "enable_otlp": False,
            # Nobody else writes here and we schedule nothing with it: polling only delays the stop.
            "notification_listener_polling_interval_sec": 0.5,
            "scheduler_polling_interval_sec": 3600.0,
        }


def _with_subseconds(engine: Sql) -> Sql:
    """The engine, whose `unixepoch('subsec')` is there: from Python 3.12 on DBOS takes it for granted, and SQLite has it from 3.42 on."""
    if sqlite3.sqlite_version_info < (3, 42):

        @event.listens_for(engine, "connect")
        def _add(connection: sqlite3.Connection, _: object) -> None:
            connection.create_function("unixepoch", 1, _now)

    return engine


def _now(modifier: str) -> float:
    if modifier != "subsec":
        raise ValueError(modifier)
    return time.time()


class _DbosLedger:
    def reserve(self) -> "_DbosEntry":
        return _DbosEntry(DBOS.reserve_step())


class _DbosEntry:
    def __init__(self, reservation: Any) -> None:
        self._reservation = reservation

    async def once(self, action: Callable[[], Awaitable[Any]]) -> Any:
        async def act() -> Any:
            return await action()

        return await self._reservation.run_async({"name": "step"}, act)


def _fits(ledger: _DbosLedger) -> Ledger:
    return ledger
