"""Waiting for runs that a command queued: executed here unless a worker does it, and reported at their end."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kept.app.connection import Connection, Embedded
from kept.app.projects import Projects
from kept.app.running import make_runner
from kept.cli.show import lines, print_json, say
from kept.core.errors import CheckFailed, Conflict, KeptError
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


@contextmanager
def at_work(connection: Connection) -> Iterator[bool]:
    """Runs the pipeline in this process, unless a worker does; gives whether it does."""
    if not isinstance(connection, Embedded):
        yield False
        return
    runner = make_runner(connection.workspace, Projects(connection.workspace))
    try:
        runner.start()
    except Conflict:
        # A worker of this workspace is up: it takes the run.
        yield False
        return
    stopping = threading.Event()

    def take() -> None:
        while not stopping.wait(connection.workspace.settings.poll_seconds):
            # A database that is locked or away for a moment: whoever follows the run would wait for ever.
            with suppress(KeptError):
                runner.tick()

    thread = threading.Thread(target=take, name="runner", daemon=True)
    thread.start()
    try:
        yield True
    finally:
        stopping.set()
        thread.join()
        runner.stop()
