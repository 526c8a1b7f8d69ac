"""Operations on decisions: recording one, requesting a training, listing them."""

from datetime import datetime
from typing import Any

import msgspec

from kept.core.clock import format_time
from kept.core.durations import duration
from kept.core.errors import Conflict, Invalid
from kept.core.ids import new_id
from kept.core.listing import list_limit
from kept.deployment.catalog import the_endpoint
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.loop.decision import TRAINING, Decision, Kind
from kept.loop.records import decisions_about, decisions_of, insert_decision, trainings_of
from kept.loop.triggers import TriggerName
from kept.plan.catalog import ShowProject, show_project
from kept.registry.catalog import ListVersions, list_versions
from kept.tracking.run import Run, RunStatus
from kept.tracking.runs import create_run


class RetrainNow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's wish that a project's model is trained again, without waiting for a trigger."""

    project: str
    reason: str
    endpoint: str | None = None
    """Which endpoint of the project its version is for; None for every one."""
    until: datetime | None = None
    """Train on what was known at this event time; None for everything that is known."""
    window: str | None = None
    """Train on so much event time, for example 60d; None for what the project declares."""
    fresh: bool = False
    """Run every step, whatever is known already."""


class Decide(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A decision of the loop, with its evidence."""

    project: str
    kind: Kind
    trigger: TriggerName
    reason: str
    evidence: dict[str, Any]
    endpoint: str | None = None
    """Whose; None for a training whose version is for every endpoint of the project."""
    run_id: str | None = None
    event_time: datetime | None = None
    window: str | None = None
    """How much event time a `retrain` learns from; None for what the project declares."""


class ListDecisions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest decisions of a project."""

    project: str
    limit: int = 50


@operation("loop.retrain", needs=Permission.RELEASE, on="project")
def retrain(workspace: Workspace, actor: Actor, request: RetrainNow) -> Decision:
    """Queues a training run; what it makes is judged, and released as the project's policy says."""
    if not request.reason.strip():
        raise Invalid("a training needs a reason", where=request.project, fix="Say why it should be trained now")
    if request.endpoint is not None:
        _expect_its_own(workspace, request.endpoint, request.project)
    known = list_versions(workspace, actor, ListVersions(project=request.project, limit=1))
    decision = Decide(
        project=request.project,
        kind="retrain" if known else "train",
        trigger="person",
        reason=request.reason,
        evidence={"asked_by": actor.name},
        endpoint=request.endpoint,
        event_time=request.until,
        window=request.window,
    )
    if request.window is not None:
        duration(request.window, where="window")
    return take(workspace, actor, decision, fresh=request.fresh)


@operation("loop.decide", needs=Permission.RELEASE, on="project", remote=False)
def decide(workspace: Workspace, actor: Actor, request: Decide) -> Decision:
    """Takes a decision: it is kept with its evidence, and a `retrain` queues its run in the same moment."""
    return take(workspace, actor, request)


@operation("loop.decisions", needs=Permission.VIEW, audit=Audit.READ)
def list_decisions(workspace: Workspace, actor: Actor, request: ListDecisions) -> list[Decision]:
    """A project's decisions, newest first."""
    del actor
    with workspace.database.reading() as connection:
        return decisions_of(connection, request.project, limit=list_limit(request.limit, where="decisions"))


def take(workspace: Workspace, actor: Actor, request: Decide, *, fresh: bool = False) -> Decision:
    """Keeps the decision and queues the run of a `train` or `retrain`, in one transaction.

    Raises:
        Conflict: it was taken already, or a training of the project is queued or running: there is one at a time,
            whichever endpoint it is for.
    """
    with workspace.database.writing() as connection:
        joined = workspace.inside(connection)
        run_id = request.run_id
        if request.kind in {"train", "retrain"}:
            run_id = _queue_training(joined, actor, request, fresh=fresh)
        elif run_id is not None and any(
            (one.kind, one.endpoint) == (request.kind, request.endpoint) for one in decisions_about(connection, run_id)
        ):
            raise Conflict(f"to {request.kind} was decided already", where=f"run {run_id}")
        decision = Decision(
            id=new_id(),
            project=request.project,
            endpoint=request.endpoint,
            kind=request.kind,
            trigger=request.trigger,
            reason=request.reason,
            evidence=request.evidence,
            run_id=run_id,
            event_time=request.event_time,
            at=workspace.clock.now(),
        )
        insert_decision(connection, decision)
    return decision


def asked_for(run: Run, request: RetrainNow) -> bool:
    """Whether a training run was queued by a person's wish for just the same."""
    same = run.request == _training_request(request.until, request.window, fresh=request.fresh)
    return same and run.name == _training_name("person", request.endpoint, request.project)


def _expect_its_own(workspace: Workspace, name: str, project: str) -> None:
    with workspace.database.reading() as connection:
        endpoint = the_endpoint(connection, name)
    if endpoint.project != project:
        fix = f"Ask for a training of {endpoint.project}"
        raise Invalid(f"it belongs to the project {endpoint.project}, not to {project}", where=name, fix=fix)


def _training_request(until: datetime | None, window: str | None, *, fresh: bool) -> dict[str, Any]:
    """What a training run is started with, as its record keeps it."""
    return {"until": None if until is None else format_time(until), "window": window, "fresh": fresh}


def _training_name(trigger: TriggerName, endpoint: str | None, project: str) -> str:
    return f"{trigger} of {endpoint or project}"


def _queue_training(workspace: Workspace, actor: Actor, request: Decide, *, fresh: bool) -> str:
    """The id of the new run. Inside a transaction, so that two workers cannot both find nothing under way."""
    show_project(workspace, actor, ShowProject(project=request.project))
    with workspace.database.reading() as connection:
        under_way = (RunStatus.QUEUED, RunStatus.RUNNING)
        for run in trainings_of(connection, request.project, statuses=under_way, limit=1):
            fix = "Wait until it has ended, or cancel it"
            raise Conflict(f"a training is {run.status} already ({run.id})", where=request.project, fix=fix)
    run = create_run(
        workspace,
        project=request.project,
        kind=TRAINING,
        name=_training_name(request.trigger, request.endpoint, request.project),
        created_by=actor.name,
        reason=request.reason,
        request=_training_request(request.event_time, request.window, fresh=fresh),
        tags={"trigger": request.trigger},
    )
    return run.id
