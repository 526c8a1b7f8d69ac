"""Waiting for runs that a command queued: executed here unless a worker does it, and reported at their end."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kept.app.connection import Connection, Embedded
from kept.app.projects import Projects
from kept.app.running import make_runner
from kept.cli.show import lines, print_json, say
from kept.core.errors import CheckFailed, Conflict, KeptError, Unavailable
from kept.pipelines.run_step import RunStep
from kept.registry.catalog import ShowVersion, show_version
from kept.registry.version import ModelVersion
from kept.tracking.run import Run, RunStatus


def tell(connection: Connection, run: Run, steps: list[RunStep], *, as_json: bool) -> None:
    """Shows the version that a run has made.

    Raises:
        CheckFailed: it is rejected.
        KeptError: the run has failed; the error of its step.
    """
    failed = next((step.failure for step in steps if step.failure is not None), None)
    if run.status is not RunStatus.FINISHED:
        raise failed.raised() if failed else KeptError(run.error or f"the run is {run.status.value}")
    version = connection.call(show_version, ShowVersion(model=run.project, version="latest")).judged
    if as_json:
        print_json(version)
    else:
        _show(version)
    if version.status == "rejected":
        fix = f"Mend the model, or: kept waive {version.number} --reason ..."
        raise CheckFailed(f"version {version.number} is rejected: {'; '.join(version.verdict.failed)}", fix=fix)


def _show(version: ModelVersion) -> None:
    say((f"\n{version.model} version {version.number}", "bold"), f" is {version.status}")
    held = [(one.passed, one.sentence) for one in version.verdict.objectives]
    held += [(one.passed, one.sentence) for one in version.verdict.checks]
    lines([(("✓", "green") if passed else ("✗", "red"), sentence) for passed, sentence in held])


class Work:
    """Whether this process runs the pipelines, and what has ended that."""

    def __init__(self, *, here: bool) -> None:
        self.here = here
        self.ended_by: Exception | None = None

    def check(self) -> None:
        """`Unavailable` when nothing is run here any more, though it should be: who follows a run would wait for ever."""
        if self.ended_by is not None:
            fix = "Mend that, then run it again: it goes on where it was"
            raise Unavailable(f"pipelines cannot be run here ({self.ended_by})", fix=fix) from self.ended_by


@contextmanager
def at_work(connection: Connection) -> Iterator[Work]:
    """Runs the pipeline in this process, unless a worker does."""
    if not isinstance(connection, Embedded):
        yield Work(here=False)
        return
    runner = make_runner(connection.workspace, Projects(connection.workspace))
    try:
        runner.start()
    except Conflict:
        # A worker of this workspace is up: it takes the run.
        yield Work(here=False)
        return
    work = Work(here=True)
    stopping = threading.Event()

    def take() -> None:
        while not stopping.wait(connection.workspace.settings.poll_seconds):
            try:
                # A database that is locked or away for a moment ends nothing.
                with suppress(KeptError):
                    runner.tick()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is said by `check`
                work.ended_by = error
                return

    thread = threading.Thread(target=take, name="runner", daemon=True)
    thread.start()
    try:
        yield work
    finally:
        stopping.set()
        thread.join()
        runner.stop()
