"""OpenLineage events of trainings, with evaluation and packaging as parts of them."""

from collections.abc import Iterator
from functools import partial

from sqlalchemy import Connection

from kept.data.records import find_version, versions
from kept.data.version import DatasetVersion
from kept.governance.workspace import Workspace
from kept.pipelines.records import steps_of
from kept.pipelines.run_step import RunStep, StepStatus
from kept.plan.records import ProjectRecord, find_project
from kept.registry.lineage_telling import Due, is_told, note
from kept.registry.openlineage import Data, EventType, Job, JobType, Work, id_of
from kept.registry.records.versions import version_of_run
from kept.registry.version import ModelVersion
from kept.tracking.records.runs import find_runs
from kept.tracking.run import Run, RunStatus

_KIND = "training"
_LOOKED_AT = 50
_VERSIONS = 500
_ENDS: dict[RunStatus, EventType] = {
    RunStatus.FINISHED: "COMPLETE",
    RunStatus.FAILED: "FAIL",
    RunStatus.CANCELLED: "ABORT",
}
_PARTS: dict[str, JobType] = {"evaluate": "EVALUATION", "package": "PACKAGING"}
_STEP_ENDS: dict[StepStatus, EventType] = {StepStatus.FINISHED: "COMPLETE", StepStatus.FAILED: "FAIL"}


def note_runs(workspace: Workspace) -> int:
    """Notes what is to be told of the newest trainings and was not yet; gives the number of events."""
    if not is_told(workspace.settings):
        return 0
    with workspace.database.reading() as connection:
        due: list[Due] = []
        for run in reversed(find_runs(connection, kind=_KIND, limit=_LOOKED_AT)):
            project = find_project(connection, run.project)
            if project is not None:
                due += _events(workspace, connection, run, project)
    return note(workspace, due)


def data_of(version: DatasetVersion) -> Data:
    """A version of data, with its columns."""
    return Data(name=f"{version.project}/{version.dataset}", version=str(version.number), columns=version.columns)


def model_of(version: ModelVersion) -> Data:
    """A version of a model."""
    return Data(name=f"models/{version.model}", version=str(version.number))


def _events(workspace: Workspace, connection: Connection, run: Run, project: ProjectRecord) -> Iterator[Due]:
    """That a run began, how its parts went, and how it ended. A run that never began is not told of."""
    if run.started_at is None:
        return
    yield Due(run.id, "START", run.started_at, partial(_training, workspace, run, project, ended=False))
    # Not while a run goes on: until it has ended, nobody knows what its parts were about.
    if run.ended_at is None or run.status not in _ENDS:
        return
    for step in steps_of(connection, run.id):
        if step.step in _PARTS and step.started_at and step.ended_at and step.status in _STEP_ENDS:
            part = id_of(f"{run.id}/{step.step}", step.started_at)
            work = partial(_part, workspace, run, project, step, part)
            yield Due(part, "START", step.started_at, work)
            yield Due(part, _STEP_ENDS[step.status], step.ended_at, work)
    yield Due(run.id, _ENDS[run.status], run.ended_at, partial(_training, workspace, run, project, ended=True))


def _training(workspace: Workspace, run: Run, project: ProjectRecord, *, ended: bool) -> Work:
    inputs, made = _read_and_made(workspace, run) if ended else ((), None)
    return Work(
        id=run.id,
        job=Job(name=_job(run), kind="TRAINING", description=project.question, owner=project.owner),
        inputs=inputs,
        outputs=() if made is None else (model_of(made),),
        error=run.error or "",
        until=_until(run),
    )


def _part(workspace: Workspace, run: Run, project: ProjectRecord, step: RunStep, part: str) -> Work:
    inputs, made = _read_and_made(workspace, run)
    bundle = () if made is None else (Data(name=f"bundles/{made.model}", version=made.bundle),)
    report = () if made is None else (Data(name=f"evaluations/{made.model}", version=str(made.number)),)
    evaluates = step.step == "evaluate"
    return Work(
        id=part,
        job=Job(name=f"{_job(run)}.{step.step}", kind=_PARTS[step.step], owner=project.owner),
        inputs=(*inputs, *bundle) if evaluates else inputs,
        outputs=report if evaluates else bundle,
        error=step.message or "",
        until=_until(run),
        part_of=(run.id, _job(run)),
    )


def _job(run: Run) -> str:
    return f"{run.project}.{run.kind}"


def _until(run: Run) -> str | None:
    until = run.request.get("until")
    return until if isinstance(until, str) else None


def _read_and_made(workspace: Workspace, run: Run) -> tuple[tuple[Data, ...], ModelVersion | None]:
    """The versions that the model was made from, and the model; of a run that made none, those that it stored."""
    with workspace.database.reading() as connection:
        made = version_of_run(connection, run.project, run.id)
        if made is None:
            stored = [one for one in versions(connection, run.project, None, _VERSIONS) if one.run_id == run.id]
            return tuple(map(data_of, stored)), None
        named = [(one.dataset, one.number) for one in made.card.lineage.data]
        named += [(f"features/{view}", number) for view, number in made.card.lineage.views.items()]
        found = [find_version(connection, run.project, *one) for one in dict.fromkeys(named)]
    return tuple(data_of(one) for one in found if one is not None), made
