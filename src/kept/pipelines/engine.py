"""The durable engine: the one module that knows DBOS.

It keeps which runs are under way and what their steps gave, so that a run goes on by itself after the process died at
any moment. Only run ids and digests go through it, as JSON.
"""

import fcntl
import logging
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID

from kept.core.errors import Conflict
from kept.store.sqlite import sqlite_engine

_NAME = "kept"
_WORKFLOW = "kept.run"
# Runs are tied to what they recorded, not to a version of Kept: every version goes on with every run.
_VERSION = "1"
_MOST_RECOVERIES = 50
_ENDED = {"SUCCESS", "ERROR", "CANCELLED"}
# DBOS keeps one instance in a process and would hand it to a second engine, database and all.
_only = threading.Lock()
_GIVEN_UP = "MAX_RECOVERY_ATTEMPTS_EXCEEDED"


class Interrupted(BaseException):
    """Raised in `drive` when the engine stops: what was interrupted goes on at the next start.

    It is no `Exception`, and no `CancelledError` either: DBOS would write both into the ledger as the run's end.
    """


class Entry(Protocol):
    """A place in a run's ledger."""

    async def once(self, action: Callable[[], Awaitable[Any]]) -> Any:
        """What the action gives (plain values), from the ledger when it is written there already.

        An action that is interrupted between its end and the writing is done again.
        """
        ...


class Ledger(Protocol):
    """What a run has done. Places are reserved in the same order each time the run is gone through."""

    def reserve(self) -> Entry:
        """The next place."""
        ...


class Engine:
    """Runs `drive(run_id, ledger)` for every run submitted, and again for those that a dead process left behind.

    One process at a time is the engine of a workspace; DBOS is one per process, so an `Engine` is, too.
    """

    def __init__(self, path: Path, drive: Callable[[str, Ledger], Awaitable[None]]) -> None:
        self._path = path
        self._drive = drive
        self._lock: IO[bytes] | None = None
        self._database: Any = None
        self._workflow: Any = None

    def claim(self) -> None:
        """Makes this process the engine of the workspace. `Conflict` when another one is, or this one is another's."""
        if not _only.acquire(blocking=False):
            what = "this process runs the pipelines of a workspace already"
            raise Conflict(what, where=str(self._path.parent), fix="Stop that runner first")
        lock = self._path.with_suffix(".lock").open("wb")
        try:
            # The kernel lets go of it when the process ends, however it ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            _only.release()
            what = "another worker runs the pipelines of this workspace"
            raise Conflict(what, where=str(self._path.parent), fix="Let it do the work, or stop it") from error
        self._lock = lock

    def start(self) -> None:
        """Starts, after `claim`; runs that were under way go on."""
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
        if self._lock is None:
            return
        DBOS.destroy(destroy_registry=True)
        if self._database is not None:
            self._database.dispose()
            self._database = None
        self._lock.close()
        self._lock = None
        _only.release()

    def _launch(self, failed: list[BaseException]) -> None:
        try:
            self._database = sqlite_engine(self._path)
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
