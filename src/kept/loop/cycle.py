"""The closed loop: one tick watches every endpoint, decides, trains, releases, promotes or rolls back.

What is done is done in one transaction with the decision that tells of it, and what is to be done next is found from
what is stored. So a tick that is killed anywhere is made up for by the next one, and nothing is done twice.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from polars.exceptions import PanicException

from kept.deployment.catalog import ShowStatus, show_status
from kept.deployment.endpoint import EndpointStatus
from kept.deployment.records import routes_of
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.loop.context import LoopContext
from kept.loop.progress import decided_until, note_progress, read_progress
from kept.loop.retraining import consider, last_training, settle, under_way
from kept.loop.rollout_moves import begin, move
from kept.monitoring.plan import monitoring_plan
from kept.monitoring.settling import settle_acted
from kept.monitoring.skew_watch import SkewWatch
from kept.monitoring.subject import champion_since, subject_of
from kept.monitoring.watch import Watched, watch, watermark_of
from kept.plan.records import find_project


@dataclass(frozen=True, kw_only=True)
class Look:
    """A part of a tick that can fail, and be put off, without the others."""

    name: str
    run: Callable[[], list[str]]
    """Does what is due, and says what happened, a sentence each."""


def looks(workspace: Workspace, actor: Actor) -> Iterator[Look]:
    """What a tick consists of: for each endpoint first its loop, then its skew, which no rollout waits for.

    A model that was released without a project is served and logged, and nothing is promised of it: there is nothing to
    hold it to.
    """
    for status in show_status(workspace, actor, ShowStatus()):
        name = status.endpoint.name
        yield Look(name=f"loop of {name}", run=partial(_look, workspace, actor, status))
        yield Look(name=f"skew of {name}", run=partial(_look_for_skew, workspace, actor, status))


def tick(workspace: Workspace, actor: Actor) -> list[str]:
    """Looks at every endpoint once; says what happened. The first error is raised when all were looked at."""
    happened: list[str] = []
    failure: Exception | PanicException | None = None
    for look in looks(workspace, actor):
        try:
            happened += look.run()
        except (Exception, PanicException) as error:  # noqa: BLE001 - raised below, when every endpoint has had its look
            failure = failure or error
    if failure is not None:
        raise failure
    return happened


def _look_for_skew(workspace: Workspace, actor: Actor, status: EndpointStatus) -> list[str]:
    """Looks as far as the loop has come; what is found is told as alerts."""
    known = read_progress(workspace, status.endpoint.name)
    with workspace.database.reading() as connection:
        record = find_project(connection, status.endpoint.project)
        routes = routes_of(connection, status.endpoint.name)
    if record is not None and status.route is not None and known.watermark is not None and known.first is not None:
        champion = subject_of(workspace, status.route.route.champion.version_id)
        watch = SkewWatch(workspace, actor, monitoring_plan(record), champion, status.endpoint.name)
        watch.look(known.first, known.watermark, champion_since(routes))
    return []


def _look(workspace: Workspace, actor: Actor, status: EndpointStatus) -> list[str]:
    with workspace.database.reading() as connection:
        record = find_project(connection, status.endpoint.project)
        routes = routes_of(connection, status.endpoint.name)
    if record is None:
        return []
    plan = monitoring_plan(record)
    last = last_training(workspace, status.endpoint, routes)
    # While something is under way an alarm has been heard: detectors start anew when it came to nothing.
    acted = None if under_way(workspace, status) else last
    try:
        watched = watch(workspace, actor, plan, status, routes, acted_at=acted)
    except (Exception, PanicException):
        # No failing monitor keeps a bad version in traffic: the rule looks at nothing that monitors make. What does well waits,
        # since the champion's windows are looked at before another takes over.
        if status.rollout is not None and status.rollout.phase is not None:
            present = watermark_of(workspace, status.endpoint.name)
            context = LoopContext(
                workspace=workspace, actor=actor, plan=plan, status=status, routes=routes, now=present
            )
            move(context, status.rollout, only_back=True)
        raise
    if status.route is not None:
        # A training that knew the future of what is served now (a replay) has acted on nothing.
        past = acted if acted is not None and watched.watermark is not None and acted <= watched.watermark else None
        rollout = status.rollout
        held = rollout.candidate if rollout is not None and rollout.state == "held" else None
        settle_acted(workspace, status.endpoint.name, status.route.route.champion.version_id, past, held=held)
    context = LoopContext(
        workspace=workspace, actor=actor, plan=plan, status=status, routes=routes, now=watched.watermark
    )
    happened = settle(context) or _go_on(context, watched) or []
    if not happened and not _rolling(context) and watched.watermark is not None and watched.first is not None:
        # A training that knew the future of what is served now (a replay) says nothing of when to train again.
        known = last if last is not None and last <= watched.watermark else watched.first
        happened = consider(context, watched.watermark, known)
    note_progress(workspace, context.endpoint, watched)
    return happened


def _go_on(context: LoopContext, watched: Watched) -> list[str]:
    rollout = context.status.rollout
    if rollout is None or not rollout.running:
        return []
    if rollout.state == "waiting":
        return begin(context, rollout)
    # Labels alone do not move it: they are looked at with the next predictions. A look that was cut short is made up for.
    unnoted = decided_until(context.workspace, context.endpoint) != watched.watermark
    return move(context, rollout) if watched.news or unnoted else []


def _rolling(context: LoopContext) -> bool:
    return context.status.rollout is not None and context.status.rollout.running
