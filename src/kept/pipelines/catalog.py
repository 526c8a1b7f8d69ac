"""Reading the steps of runs: how far each has come, what it printed, what it gave, why it failed."""

from pathlib import Path

import msgspec

from kept.core.errors import KeptError, NotFound
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.pipelines.records import step_named, steps_of
from kept.pipelines.run_step import RunStep, StepStatus

_LARGEST_BYTES = 1_000_000


class ListSteps(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The steps of one run."""

    run: str


class ShowLog(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a step of a run printed: its last `bytes`, while it runs, too."""

    run: str
    step: str
    bytes: int = 64_000


@operation("steps.list", needs=Permission.VIEW, on="run", audit=Audit.READ)
def list_steps(workspace: Workspace, actor: Actor, request: ListSteps) -> list[RunStep]:
    """The steps of a run with state, timings and progress, each after those it depends on."""
    del actor
    with workspace.database.reading() as connection:
        return steps_of(connection, request.run)


@operation("steps.log", needs=Permission.VIEW, on="run", audit=Audit.READ)
def show_log(workspace: Workspace, actor: Actor, request: ShowLog) -> str:
    """The end of what a step printed; empty when it printed nothing."""
    del actor
    with workspace.database.reading() as connection:
        step = step_named(connection, request.run, request.step)
    if step is None:
        fix = "See `kept runs show`"
        raise NotFound(f"the run has no step {request.step!r}", where=f"run {request.run}", fix=fix)
    limit = max(0, min(request.bytes, _LARGEST_BYTES))
    live = log_file(workspace.root, step.run_id, step.step)
    try:
        with live.open("rb") as stream:
            stream.seek(max(0, live.stat().st_size - limit))
            data = stream.read(limit)
    except FileNotFoundError:
        data = workspace.blobs.get(step.log)[-limit:] if step.log is not None and limit else b""
    return data.decode(errors="replace")


def output_of(workspace: Workspace, run_id: str, step: str) -> str:
    """The digest of what a step gave; `NotFound` when it gave nothing (yet)."""
    with workspace.database.reading() as connection:
        found = step_named(connection, run_id, step)
    if found is None or not found.has_output or found.output is None:
        raise NotFound(f"step {step!r} gave no output", where=f"run {run_id}")
    return found.output


def failure_of(workspace: Workspace, run_id: str) -> KeptError | None:
    """The error that a run failed with, of its own class; None when no step of it failed."""
    with workspace.database.reading() as connection:
        for step in steps_of(connection, run_id):
            if step.status is StepStatus.FAILED and step.failure is not None:
                return step.failure.raised()
    return None


def log_file(root: Path, run_id: str, step: str) -> Path:
    """Where a step that runs prints to."""
    return root / "runs" / run_id / f"{step}.log"
