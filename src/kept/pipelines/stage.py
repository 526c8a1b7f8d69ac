"""Executing one step of a run: from the cache, or by an executor, with retries."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from kept.core.errors import Away, KeptError
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.pipelines.catalog import log_file
from kept.pipelines.codec import is_whole
from kept.pipelines.executor import Executor
from kept.pipelines.fingerprint import cache_key
from kept.pipelines.graph import Node
from kept.pipelines.job import Cause, Failure, Job, Output, Progress
from kept.pipelines.records import cache_output, cached_output, put_steps, step_named
from kept.pipelines.run_step import RunStep, StepStatus
from kept.tracking.run import Run

UNCHANGED = "not run again: code, inputs and parameters are unchanged"
_SECONDS_BETWEEN = 0.5
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 15.0
_LOOK_SECONDS = 0.1
# A step whose process cannot reach the database is begun anew so often: then it is no outage, but a fault.
_MOST_OUTAGES = 10


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a step, as the engine's ledger keeps it."""

    step: str
    key: str
    output: str | None = None
    """None: it failed, or was cancelled."""


@dataclass(frozen=True)
class Stage:
    """A place for the steps of one run: everything they need beside themselves."""

    workspace: Workspace
    run: Run
    actor: Actor
    opener: str
    executor: Executor
    cancelled: threading.Event
    stopping: threading.Event
    """Set when the worker stops: what is under way goes on another time."""
    fresh: bool

    def key(self, node: Node, outputs: Mapping[str, str]) -> str:
        """The step's cache key, from its code as it is now."""
        return cache_key(node, outputs, project=self.run.project, seed=self.run.seed)

    def perform(self, node: Node, key: str, outputs: Mapping[str, str]) -> Result:
        """Does the step and records how it goes. Done again after a crash, it goes on where it was.

        Raises:
            Away: the database cannot be reached; nothing is known of how it went.
        """
        row = self._row(node)
        if row.cache_key == key and row.has_output and row.output and is_whole(self.workspace.blobs, row.output):
            # It was finished and recorded, and the worker died before the engine had noted it.
            return Result(step=row.step, key=key, output=row.output)
        if node.step.cache and not self.fresh and (output := self._cached(key)) is not None:
            now = self.workspace.clock.now()
            fresh = RunStep(run_id=row.run_id, step=row.step, position=row.position, attempt=row.attempt)
            self._put(
                fresh,
                status=StepStatus.CACHED,
                started_at=now,
                ended_at=now,
                cache_key=key,
                output=output,
                message=UNCHANGED,
            )
            return Result(step=row.step, key=key, output=output)
        return self._try(row, node, key, outputs)

    def refuse(self, node: Node, error: KeptError) -> None:
        """Records that the step could not even be looked at."""
        failure = Failure(
            cause=Cause.RAISED, what=error.what, where=error.where, fix=error.fix, error=type(error).__name__
        )
        now = self.workspace.clock.now()
        self._put(self._row(node), status=StepStatus.FAILED, ended_at=now, message=str(error), failure=failure)

    def skip(self, node: Node, reason: str) -> None:
        """Records that the step was not run, and why."""
        self._put(self._row(node), status=StepStatus.SKIPPED, ended_at=self.workspace.clock.now(), message=reason)

    def _try(self, row: RunStep, node: Node, key: str, outputs: Mapping[str, str]) -> Result:
        clean = RunStep(run_id=row.run_id, step=row.step, position=row.position, attempt=row.attempt, cache_key=key)
        for number in range(node.step.retries + 1):
            telling = _Telling(self, clean)
            outcome = self.executor.run(self._job(clean, node, outputs), telling.report, self.cancelled)
            if isinstance(outcome, Output):
                self._finish(telling.row, node, key, outputs, outcome.digest)
                return Result(step=row.step, key=key, output=outcome.digest)
            failure = outcome.raised()
            if isinstance(failure, Away) and telling.row.attempt <= _MOST_OUTAGES:
                raise failure
            if number == node.step.retries or not outcome.may_pass:
                self._end(telling.row, outcome)
                return Result(step=row.step, key=key)
            clean = msgspec.structs.replace(
                clean, attempt=telling.row.attempt, message=f"tried again: {outcome.what}", failure=outcome
            )
            self._put(telling.row, status=StepStatus.WAITING, message=clean.message, failure=outcome)
            self._pause(min(_FIRST_PAUSE_SECONDS * 2**number, _LONGEST_PAUSE_SECONDS))
        raise AssertionError("unreachable")

    def _job(self, row: RunStep, node: Node, outputs: Mapping[str, str]) -> Job:
        log = log_file(self.workspace.root, self.run.id, row.step)
        return Job(
            run_id=self.run.id,
            project=self.run.project,
            step=row.step,
            attempt=row.attempt + 1,
            seed=self.run.seed,
            function=node.reference,
            outputs=dict(outputs),
            values=node.values,
            takes_context=node.takes_context,
            opener=self.opener,
            root=str(self.workspace.root),
            actor=self.actor,
            log=str(log),
            scratch=str(log.with_suffix(".scratch")),
            timeout=node.step.timeout.total_seconds() if node.step.timeout else None,
        )

    def _finish(self, row: RunStep, node: Node, key: str, outputs: Mapping[str, str], output: str) -> None:
        now = self.workspace.clock.now()
        row = msgspec.structs.replace(
            row, status=StepStatus.FINISHED, ended_at=now, output=output, log=self._log(row), failure=None
        )
        settled = node.step.cache and self._is_unchanged(node, outputs, key)
        with self.workspace.database.writing() as connection:
            put_steps(connection, [row])
            if settled:
                cache_output(connection, key, output, run_id=self.run.id, at=now)
        log_file(self.workspace.root, self.run.id, row.step).unlink(missing_ok=True)

    def _end(self, row: RunStep, failure: Failure) -> None:
        now = self.workspace.clock.now()
        if failure.cause is Cause.CANCELLED and not self.cancelled.is_set():
            message = "the worker was stopped: it runs again when a worker starts"
            self._put(row, status=StepStatus.WAITING, message=message)
            return
        cancelled = failure.cause is Cause.CANCELLED
        self._put(
            row,
            status=StepStatus.SKIPPED if cancelled else StepStatus.FAILED,
            ended_at=now,
            log=self._log(row),
            message="the run was cancelled" if cancelled else str(failure.raised()),
            failure=failure,
        )
        log_file(self.workspace.root, self.run.id, row.step).unlink(missing_ok=True)

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.cancelled.wait(_LOOK_SECONDS) and not self.stopping.is_set():
            pass

    def _is_unchanged(self, node: Node, outputs: Mapping[str, str], key: str) -> bool:
        """Whether the code is still what it was: what was edited meanwhile may be in the output or not."""
        try:
            return self.key(node, outputs) == key
        except KeptError:
            return False

    def _log(self, row: RunStep) -> str | None:
        file = log_file(self.workspace.root, self.run.id, row.step)
        return self.workspace.blobs.put_file(file) if file.exists() and file.stat().st_size else None

    def _cached(self, key: str) -> str | None:
        with self.workspace.database.reading() as connection:
            output = cached_output(connection, key)
        return output if output is not None and is_whole(self.workspace.blobs, output) else None

    def _row(self, node: Node) -> RunStep:
        with self.workspace.database.reading() as connection:
            row = step_named(connection, self.run.id, node.step.name)
        return row or RunStep(run_id=self.run.id, step=node.step.name, position=0)

    def _put(self, row: RunStep, **changes: object) -> RunStep:
        changed = msgspec.structs.replace(row, **changes)
        with self.workspace.database.writing() as connection:
            put_steps(connection, [changed])
        return changed


class _Telling:
    """Writes down that a try begins and how far it comes, not more often than people can read."""

    def __init__(self, stage: Stage, row: RunStep) -> None:
        self._stage = stage
        self._last = 0.0
        self.row = row

    def report(self, progress: Progress) -> None:
        now = time.monotonic()
        begins = self.row.status is not StepStatus.RUNNING
        if begins:
            self.row = msgspec.structs.replace(
                self.row,
                status=StepStatus.RUNNING,
                attempt=self.row.attempt + 1,
                started_at=self._stage.workspace.clock.now(),
            )
        else:
            self.row = msgspec.structs.replace(
                self.row, done=progress.done, total=progress.total, message=progress.text or self.row.message
            )
        if begins or now - self._last >= _SECONDS_BETWEEN:
            self._last = now
            with self._stage.workspace.database.writing() as connection:
                put_steps(connection, [self.row])
