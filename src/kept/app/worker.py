"""The worker: ships logs and labels, runs pipelines, watches, decides. It can be stopped and killed at any moment."""

import logging
import signal
import threading
import time
from functools import partial
from types import FrameType

from kept.app.courier import Courier
from kept.app.heartbeat import BEAT_SECONDS, Heartbeat
from kept.app.jobs import Jobs, Waiting
from kept.app.logs import log_plainly
from kept.app.projects import Projects
from kept.app.running import make_runner
from kept.app.scoring.unfinished import note_killed
from kept.app.tracked.destination import InWorkspace
from kept.app.tracked.waiting import deliver_waiting
from kept.app.workspace import embedded_actor
from kept.core.errors import Conflict
from kept.data import labels
from kept.governance.actor import automation
from kept.governance.workspace import Workspace
from kept.loop.cycle import looks
from kept.loop.lineage import note_serving
from kept.monitoring.telling import tell_due
from kept.pipelines.runner import Runner
from kept.registry.lineage_runs import note_runs
from kept.serving.cadence import Cadence
from kept.serving.retention import log_keep
from kept.serving.shipping import Shipper
from kept.store.process_lock import Exclusive

_DELIVER_SECONDS = 5.0
_NOTE_SECONDS = 1.0

_logger = logging.getLogger("kept.worker")


class Worker:
    """One worker of a workspace. A second one ships, too, and waits with the rest until the first is gone."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._actor = automation("kept")
        self._stopping = threading.Event()
        self._projects = Projects(workspace)
        self._shipper = Shipper(
            workspace.root / "spool", workspace.tables, workspace.clock, keep=log_keep(workspace.settings)
        )
        self._cadence = Cadence(workspace.root / "spool")
        self._deliver_at = 0.0
        self._note_at = 0.0
        self._runner: Runner | None = None
        self._jobs = Jobs()
        # Two that watch would judge every window twice, and tell every alarm twice.
        self._watching = Exclusive(workspace.root / "watching.lock")
        self._courier = Courier(workspace)

    def run(self) -> None:
        """Works until `stop` is called. What fails is said in the log and tried again, with a growing pause."""
        heartbeat = Heartbeat(self._workspace.database, self._workspace.clock, "work", "")
        beat_at = 0.0
        self._courier.start()
        try:
            while not self._stopping.is_set():
                self._jobs.run("runner", self._run_pipelines)
                self._jobs.run("labels", lambda: labels.ship_all(self._workspace))
                self._jobs.run("shipping", self._ship)
                self._jobs.run("retention", self._shipper.tend)
                self._jobs.run("logged", self._deliver_logged)
                self._jobs.run("loop", self._watch)
                self._jobs.run("lineage", self._note_runs)
                if time.monotonic() >= beat_at:
                    runs = self._runner.active() if self._runner else []
                    self._jobs.run("heartbeat", partial(heartbeat.beat, runs=runs, failing=dict(self._jobs.failing)))
                    beat_at = time.monotonic() + BEAT_SECONDS
                self._stopping.wait(self._workspace.settings.poll_seconds)
        finally:
            if self._runner is not None:
                self._runner.stop()
            self._courier.stop()
            self._watching.leave()
            self._jobs.run("heartbeat", heartbeat.end)

    def stop(self) -> None:
        """Asks it to end. Steps that run are ended, and run again when a worker starts."""
        self._stopping.set()

    def _ship(self) -> None:
        if self._cadence.due():
            self._shipper.ship()
            self._cadence.shipped()

    def _deliver_logged(self) -> None:
        """What training code logged and could not deliver, because it was killed."""
        if time.monotonic() >= self._deliver_at:
            self._deliver_at = time.monotonic() + _DELIVER_SECONDS
            for one in deliver_waiting(
                InWorkspace(self._workspace, embedded_actor(self._workspace.settings, "python"))
            ):
                if one.frames:
                    _logger.info("delivered %d frames of run %s that a dead process had logged", one.frames, one.run)

    def _note_runs(self) -> None:
        """What OpenLineage is to be told of; the courier carries it."""
        if time.monotonic() >= self._note_at:
            self._note_at = time.monotonic() + _NOTE_SECONDS
            note_runs(self._workspace)
            note_serving(self._workspace)
            note_killed(self._workspace)

    def _run_pipelines(self) -> None:
        if self._runner is None:
            runner = make_runner(self._workspace, self._projects)
            try:
                runner.start()
            except Conflict as conflict:
                raise Waiting(str(conflict)) from conflict
            self._runner = runner
        self._runner.tick()

    def _watch(self) -> None:
        if not self._watching.take():
            raise Waiting("another worker watches")
        try:
            for look in looks(self._workspace, self._actor):
                self._jobs.run(look.name, look.run)
        finally:
            self._jobs.run("alerts", lambda: tell_due(self._workspace))


def work(workspace: Workspace) -> None:
    """Works until SIGTERM or SIGINT."""
    log_plainly()
    worker = Worker(workspace)

    def stop(_: int, __: FrameType | None) -> None:
        worker.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    worker.run()
