"""The runner: takes queued runs, walks their graphs of steps, and ends them; a worker has one."""

import asyncio
import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from kept.core.errors import Away, Conflict, KeptError
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.pipelines.catalog import failure_of, log_file
from kept.pipelines.claim import Claim
from kept.pipelines.executor import Executor, ProcessExecutor
from kept.pipelines.graph import Graph, Node
from kept.pipelines.ledger import Entry, Interrupted, Ledger
from kept.pipelines.records import drop_steps, put_steps, steps_of
from kept.pipelines.run_step import RunStep, StepStatus
from kept.pipelines.stage import Result, Stage
from kept.pipelines.tracing import spans_of
from kept.tracking import runs
from kept.tracking.environment import keep_environment
from kept.tracking.run import Run, RunStatus
from kept.tracking.snapshot import keep_snapshot

if TYPE_CHECKING:
    from kept.pipelines.engine import Engine

_logger = logging.getLogger("kept.worker")
_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 5.0
# The engine notes the end of what it drives within a moment. Where it could not, for want of space, it notes none.
_NOTING_SECONDS = 5.0


@dataclass
class _Live:
    """A run that is under way here."""

    cancelled: threading.Event = field(default_factory=threading.Event)
    failed: bool = False


class Runner:
    """Runs pipelines of one workspace, durably.

    Args:
        workspace: where runs are queued and recorded.
        opener: `module:function` that opens the workspace from its root, in the processes of steps.
        builder: gives the graph of a run. It is asked again when a run goes on after a crash.
        actor: who the steps act as.
        executor: where steps run; by default slots on this machine, as many as the settings say.
        kinds: the kinds of runs it takes.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        opener: str,
        builder: Callable[[Run], Graph],
        actor: Actor,
        executor: Executor | None = None,
        kinds: Sequence[str] = ("training",),
    ) -> None:
        self._workspace = workspace
        self._opener = opener
        self._builder = builder
        self._actor = actor
        self._executor = executor or ProcessExecutor(workspace.settings.steps_at_once)
        self._kinds = tuple(kinds)
        self._claim = Claim(workspace.root / "pipelines.lock")
        self._engine: Engine | None = None
        self._stopping = threading.Event()
        self._live: dict[str, _Live] = {}
        # When runs were let go of without an end.
        self._left: dict[str, float] = {}
        self._lock = threading.Lock()
        self._submitting = threading.Lock()

    def start(self) -> None:
        """Starts, and goes on with the runs that were under way. `Conflict` when another worker does already.

        The engine, which is large, comes with the first run.
        """
        self._claim.take()
        try:
            self.tick()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops within seconds. Steps that run are ended; they run again when a worker starts."""
        self._stopping.set()
        self._executor.close()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self.active() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS / 10)
        if self._engine is not None:
            self._engine.stop()
            self._engine = None
        self._claim.leave()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def tick(self) -> None:
        """Takes queued runs, and ends the steps of runs that were cancelled. The worker calls it again and again."""
        for kind in self._kinds:
            queued, running = runs.queued_runs(self._workspace, kind), runs.running_runs(self._workspace, kind)
            for run in (*queued, *running):
                # Running ones that the engine does not know: the worker died between the two, or the ledger is gone.
                self._submit(run.id)
        with self._lock:
            live = dict(self._live)
        for run_id, state in live.items():
            if not state.cancelled.is_set() and runs.get_run(self._workspace, run_id).status is RunStatus.CANCELLED:
                state.cancelled.set()

    def submit(self, run: Run) -> None:
        """Puts a run on its way now. Doing so twice changes nothing."""
        self._submit(run.id)

    def wait(self, run_id: str, timeout: float | None = None) -> Run:
        """Waits until a run has ended, and gives it; or gives it as it is after so many seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            run = runs.get_run(self._workspace, run_id)
            if run.status.ended and run_id not in self._live:
                return run
            if deadline is not None and time.monotonic() >= deadline:
                return run
            time.sleep(_LOOK_SECONDS)

    def cancel(self, run_id: str, reason: str = "cancelled") -> None:
        """Ends a run and its steps. `Conflict` when it has ended otherwise."""
        runs.cancel(self._workspace, run_id, reason)
        with self._lock:
            state = self._live.get(run_id)
        if state is not None:
            state.cancelled.set()

    def active(self) -> list[str]:
        """Ids of the runs that are under way here."""
        with self._lock:
            return list(self._live)

    def _submit(self, run_id: str) -> None:
        with self._submitting:
            if run_id in self.active():
                return
            engine = self._engine = self._engine or self._started()
            state = "ended" if self._is_left(run_id) else engine.state(run_id)
            if state == "unknown":
                engine.submit(run_id)
            elif state == "given up":
                with contextlib.suppress(Conflict):
                    runs.fail(self._workspace, run_id, "it was given up: worker after worker died while it ran")
            elif state == "ended" and not runs.get_run(self._workspace, run_id).status.ended:
                # Its end could not be recorded, or the database was away. What its steps gave is found again.
                self._left.pop(run_id, None)
                engine.resubmit(run_id)

    def _is_left(self, run_id: str) -> bool:
        """Whether a run was let go of so long ago that nothing goes on with it, whatever the engine has noted."""
        return time.monotonic() - self._left.get(run_id, math.inf) > _NOTING_SECONDS

    def _started(self) -> "Engine":
        # DBOS comes with it: a worker with nothing to run has no use for it.
        from kept.pipelines.engine import Engine  # noqa: PLC0415

        if isinstance(self._executor, ProcessExecutor):
            # It starts beside the engine, so that the first step need not wait for either.
            self._executor.warm()
        engine = Engine(self._workspace.root / "pipelines.db", self._drive)
        engine.start()
        return engine

    async def _drive(self, run_id: str, ledger: Ledger) -> None:
        state = _Live()
        with self._lock:
            self._live[run_id] = state
        try:
            prepared = await asyncio.to_thread(self._prepare, run_id, state)
            if prepared is not None:
                await self._walk(*prepared, ledger, state)
                self._check_stopping()
                await asyncio.to_thread(self._conclude, run_id)
                await asyncio.to_thread(self._tell, run_id)
        except asyncio.CancelledError as error:
            raise Interrupted from error
        except Away as error:
            # No fault of the run: it is not ended, and `tick` puts it on its way again once the database is back.
            self._check_stopping()
            self._left[run_id] = time.monotonic()
            _logger.warning("run %s waits for the database: %s", run_id, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the run and is said there
            self._check_stopping()
            self._left[run_id] = time.monotonic()
            await asyncio.to_thread(self._give_up, run_id, error)
            await asyncio.to_thread(self._tell, run_id)
        finally:
            with self._lock:
                self._live.pop(run_id, None)

    async def _walk(self, stage: Stage, graph: Graph, ledger: Ledger, state: _Live) -> None:
        # Places are reserved in the order of the graph, so that each step finds its own again, whoever ends first.
        entries = {name: ledger.reserve() for name in graph.nodes}
        tasks: dict[str, asyncio.Task[Result | None]] = {}
        for name, node in graph.nodes.items():
            before = {parameter: tasks[wire] for parameter, wire in node.wires.items()}
            tasks[name] = asyncio.create_task(self._step(stage, node, before, entries[name], state))
        try:
            await asyncio.gather(*tasks.values())
        except Exception:
            # What went wrong is not of a step: the other steps end, too.
            state.cancelled.set()
            raise
        finally:
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _step(
        self,
        stage: Stage,
        node: Node,
        before: dict[str, asyncio.Task[Result | None]],
        entry: Entry,
        state: _Live,
    ) -> Result | None:
        results = {parameter: await task for parameter, task in before.items()}
        outputs = {parameter: result.output for parameter, result in results.items() if result and result.output}
        self._check_stopping()
        if state.failed or state.cancelled.is_set() or len(outputs) < len(before):
            reason = "the run was cancelled" if state.cancelled.is_set() else "a step before it failed"
            await asyncio.to_thread(stage.skip, node, reason)
            return None

        try:
            key = await asyncio.to_thread(stage.key, node, outputs)
        except KeptError as error:
            await asyncio.to_thread(stage.refuse, node, error)
            state.failed = True
            return None

        async def perform() -> dict[str, Any]:
            result = await asyncio.to_thread(stage.perform, node, key, outputs)
            # An interrupted step is not written into the ledger.
            self._check_stopping(unless=result.output is not None)
            found: dict[str, Any] = msgspec.to_builtins(result)
            return found

        result = msgspec.convert(await entry.once(perform), Result)
        if result.step != node.step.name or result.key != key:
            # The ledger tells of code or inputs as they were before the worker went down: results never mix.
            result = msgspec.convert(await perform(), Result)
        if result.output is None:
            state.failed = True
            return None
        return result

    def _prepare(self, run_id: str, state: _Live) -> tuple[Stage, Graph] | None:
        """Marks the run as running and lays out its steps; None when it has ended already."""
        run = runs.get_run(self._workspace, run_id)
        if run.status.ended:
            return None
        graph = self._builder(run)
        if run.status is RunStatus.QUEUED:
            code = keep_snapshot(self._workspace.blobs, graph.folder) if graph.folder else None
            environment = keep_environment(self._workspace.blobs)
            run = runs.start(self._workspace, run_id, code=code, environment=environment)
        with self._workspace.database.writing() as connection:
            known = {step.step: step for step in steps_of(connection, run_id)}
            fresh = [
                msgspec.structs.replace(known[name], position=position)
                if name in known
                else RunStep(run_id=run_id, step=name, position=position)
                for position, name in enumerate(graph.nodes)
            ]
            drop_steps(connection, run_id, graph.nodes)
            put_steps(connection, fresh)
        stage = Stage(
            workspace=self._workspace,
            run=run,
            actor=self._actor,
            opener=self._opener,
            executor=self._executor,
            cancelled=state.cancelled,
            stopping=self._stopping,
            fresh=graph.fresh,
        )
        return stage, graph

    def _conclude(self, run_id: str) -> None:
        with self._workspace.database.reading() as connection:
            steps = steps_of(connection, run_id)
        with contextlib.suppress(OSError):  # what a killed worker left there may be looked at
            log_file(self._workspace.root, run_id, "").parent.rmdir()
        failed = next((step for step in steps if step.status is StepStatus.FAILED), None)
        with contextlib.suppress(Conflict):  # it was cancelled meanwhile: that stands
            if failed is not None:
                runs.fail(self._workspace, run_id, f"step {failed.step}: {failed.message}")
            elif all(step.has_output for step in steps):
                runs.finish(self._workspace, run_id)
            else:
                runs.cancel(self._workspace, run_id, "cancelled")

    def _give_up(self, run_id: str, error: Exception) -> None:
        text = str(error) if isinstance(error, KeptError) else f"{type(error).__name__}: {error}"
        with contextlib.suppress(KeptError):
            runs.fail(self._workspace, run_id, text)

    def _tell(self, run_id: str) -> None:
        """Tells of a run that has ended, where anybody wants to know."""
        traces = self._workspace.traces
        if traces is None:
            return
        with self._workspace.database.reading() as connection:
            steps = steps_of(connection, run_id)
        for span in spans_of(runs.get_run(self._workspace, run_id), steps):
            traces.tell(span)

    def _check_stopping(self, *, unless: bool = False) -> None:
        if self._stopping.is_set() and not unless:
            raise Interrupted

    def failure(self, run_id: str) -> KeptError | None:
        """The error that a run failed with, of its own class."""
        return failure_of(self._workspace, run_id)
