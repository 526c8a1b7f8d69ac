"""Retraining: queues a run when a trigger fires, and releases or rejects what it made."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from kept.core.clock import format_time, parse_time
from kept.core.errors import Conflict
from kept.deployment.endpoint import Endpoint, EndpointStatus, RouteRecord
from kept.deployment.release import ReleaseVersion, release
from kept.governance.workspace import Workspace
from kept.loop.context import Cause, LoopContext
from kept.loop.decision import Decision
from kept.loop.dry_run import report
from kept.loop.newest_labels import on_newest_labels
from kept.loop.records import decisions_about, decisions_of, last_asked, trainings_of
from kept.loop.training_rows import training_data
from kept.loop.triggers import ALARMS, Choice, EstimatedWindow, Situation, alarms_named, choose
from kept.monitoring import estimate
from kept.monitoring.alert import Alert
from kept.monitoring.incident import Incident
from kept.monitoring.records import alerts_of, incidents_of, results_of
from kept.monitoring.recount import WHY
from kept.monitoring.result import WindowResult
from kept.monitoring.settling import KEPT, TAKEN_BACK, settle_gone
from kept.monitoring.subject import champion_since
from kept.monitoring.window import window_of
from kept.plan.policy import Estimated, NewData
from kept.registry.records.versions import models_of_run, version_of_run
from kept.registry.version import ModelVersion
from kept.tracking.run import Run, RunStatus
from kept.tracking.runs import get_run

_REJECTED, _FAILED = "the new version is rejected", "the training failed"
_SETTLES = {"release", "reject", "dry_run"}
_MOST_ALERTS = 1_000
_MOST_RUNS = 50
_HOLDS_LOOKED_AT = 50
_MOST_RESULTS = 10_000


def last_training(workspace: Workspace, endpoint: Endpoint, routes: list[RouteRecord]) -> datetime | None:
    """The event time up to which the endpoint's last training knew the world, whatever came of it.

    Where that was not told (a person's need not be), it is that of the last one of which it was, or when the champion
    took over, whichever is later; None when neither was told.
    """
    with workspace.database.reading() as connection:
        last = trainings_of(connection, endpoint.project, endpoint.name, limit=1)
        if not last:
            return champion_since(routes)
        if (told := last[0].request.get("until")) is not None:
            return parse_time(told, where="until")
        earlier = trainings_of(connection, endpoint.project, endpoint.name, limit=_MOST_RUNS)
    told = next((until for one in earlier if (until := one.request.get("until"))), None)
    known = (told and parse_time(told, where="until"), champion_since(routes))
    return max((one for one in known if one), default=None)


def open_training(workspace: Workspace, project: str, endpoint: str | None = None) -> Run | None:
    """The training that is running or queued, of which a project has at most one; with an endpoint, unless it is another's."""
    under_way = (RunStatus.RUNNING, RunStatus.QUEUED)
    with workspace.database.reading() as connection:
        return next(iter(trainings_of(connection, project, endpoint, statuses=under_way, limit=1)), None)


def unsettled(workspace: Workspace, endpoint: Endpoint) -> Decision | None:
    """The endpoint's last decision to train, when it was not decided yet what becomes of its version.

    A training that a person asked for is settled by each endpoint that serves its model. Trainings from before the endpoint was
    there are none of the loop's: its first version is released by a person.
    """
    with workspace.database.reading() as connection:
        asked = last_asked(connection, endpoint.project, endpoint.name)
        if asked is None or asked.run_id is None:
            return None
        about, made = decisions_about(connection, asked.run_id), models_of_run(connection, asked.run_id)
    if asked.endpoint is None and (asked.at < endpoint.created_at or (made and endpoint.model not in made)):
        return None
    own = [one for one in about if one.endpoint in {None, endpoint.name}]
    return None if any(one.kind in _SETTLES for one in own) else asked


def under_way(workspace: Workspace, status: EndpointStatus) -> bool:
    """Whether a training of the endpoint runs or waits, or what it made is on its way to taking over."""
    rolling = status.rollout is not None and status.rollout.running
    endpoint = status.endpoint
    return (
        rolling
        or open_training(workspace, endpoint.project, endpoint.name) is not None
        or unsettled(workspace, endpoint) is not None
    )


def settle(context: LoopContext) -> list[str]:
    """Releases what the last training has made, or tells why not."""
    asked = unsettled(context.workspace, context.status.endpoint)
    run = get_run(context.workspace, asked.run_id) if asked is not None and asked.run_id is not None else None
    if asked is None or run is None or not run.status.ended:
        return []
    with context.workspace.database.reading() as connection:
        version = version_of_run(connection, context.status.endpoint.model, run.id)
        told = any(one.kind == "reject" for one in decisions_about(connection, run.id))
    cause = Cause(trigger=asked.trigger, run_id=run.id)
    if run.status is RunStatus.FINISHED and version is not None and version.status == "accepted":
        return _release(context, asked, cause, version)
    return _reject(context, cause, run, version, told=told)


def consider(context: LoopContext, now: datetime, last: datetime) -> list[str]:
    """Trains again, or notes why not yet, when a trigger is raised.

    Args:
        context: whose.
        now: the endpoint's event time.
        last: the event time of the last training.
    """
    policy = context.plan.retraining
    if not policy.on or open_training(context.workspace, context.plan.name) is not None:
        return []
    choice = choose(policy, _situation(context, now, last))
    if choice.action == "none":
        return []
    if choice.action == "retrain":
        return _train(context, choice, now, last)
    with context.workspace.database.reading() as connection:
        before = decisions_of(
            connection, context.plan.name, endpoint=context.endpoint, kinds=["hold"], limit=_HOLDS_LOOKED_AT
        )
    # Once since the last training, whatever else was decided meanwhile; several triggers may wait in turn.
    since = choice.evidence["last_training"]
    if any((one.reason, one.evidence.get("last_training")) == (choice.reason, since) for one in before):
        return []
    context.decide("hold", Cause(trigger=choice.trigger), choice.reason, choice.evidence)
    return [f"Not yet: {choice.reason}."]


def _train(context: LoopContext, choice: Choice, now: datetime, last: datetime) -> list[str]:
    """Queues the training on the rows that the policy's rule chooses; in a dry run tells of it, once."""
    window, rule, change = training_data(context, choice, now, last)
    evidence = {**choice.evidence, "data": rule, "change": None if change is None else format_time(change)}
    cause = Cause(trigger=choice.trigger)
    if context.reports_only or context.plan.retraining.dry_run:
        return report(context, "retrain", cause, f"Would train again: {choice.reason}, {rule}", evidence)
    try:
        context.decide("retrain", cause, choice.reason, evidence, window=window)
    except Conflict:
        # Another worker was faster, or a person.
        return []
    return [f"Training again: {choice.reason}."]


def _release(context: LoopContext, asked: Decision, cause: Cause, version: ModelVersion) -> list[str]:
    rollout = context.status.rollout
    under_way = rollout is not None and rollout.candidate == version.id
    reason = f"Version {version.number} kept every objective. It was trained because: {asked.reason.rstrip('.')}."
    evidence = {"version": version.number, "verdict": [one.sentence for one in version.verdict.objectives]}
    if version.id != context.champion and not under_way:
        newest = on_newest_labels(context, version, asked.event_time)
        evidence["newest_labels"] = msgspec.to_builtins(newest)
        if newest.worse:
            return _leave(context, cause, version, newest.sentence, evidence)
    if context.reports_only:
        return report(context, "release", cause, f"Would release. {reason}", evidence)
    with context.workspace.database.writing() as connection:
        joined = context.inside(context.workspace.inside(connection))
        if version.id != context.champion and not under_way:
            request = ReleaseVersion(
                endpoint=context.endpoint,
                model=version.model,
                version=str(version.number),
                reason=reason,
                event_time=context.now,
                replace=True,
            )
            release(joined.workspace, context.actor, request)
        settle_gone(
            connection,
            context.endpoint,
            ("rejected", "failed"),
            (_REJECTED, _FAILED),
            context.workspace.clock.now(),
            why=f"version {version.number} was accepted",
        )
        joined.decide("release", cause, reason, evidence)
    return [reason]


def _leave(context: LoopContext, cause: Cause, version: ModelVersion, why: str, evidence: dict[str, Any]) -> list[str]:
    """Keeps the champion, though the version was accepted: on what has been labelled since it does worse."""
    reason = f"Version {version.number} kept every objective, and is not released. {why}"
    if context.reports_only:
        return report(context, "reject", cause, f"Would not release. {reason}", evidence)
    with context.workspace.database.writing() as connection:
        joined = context.inside(context.workspace.inside(connection))
        joined.decide("reject", cause, reason, evidence)
        joined.alert("rejected", "warning", _REJECTED, {"reason": reason, **evidence}, version.id)
    return [reason]


def _reject(context: LoopContext, cause: Cause, run: Run, version: ModelVersion | None, *, told: bool) -> list[str]:
    """Keeps the champion and tells why, once for all endpoints (`told`); nobody needs to be told that a person cancelled."""
    with context.workspace.database.writing() as connection:
        joined = context.inside(context.workspace.inside(connection))
        if run.status is RunStatus.FINISHED and version is not None:
            reason = f"Version {version.number} is rejected. {' '.join(version.verdict.reasons)}"
            evidence = {"version": version.number, "failed": list(version.verdict.failed), "run": run.id}
            joined.decide("reject", cause, reason, evidence)
            why = f"a later training made version {version.number}"
            settle_gone(connection, context.endpoint, ("failed",), (_FAILED,), context.workspace.clock.now(), why=why)
            if not told:
                joined.alert("rejected", "warning", _REJECTED, {"reason": reason, **evidence}, version.id)
        elif run.status is RunStatus.CANCELLED:
            reason = f"The training was {run.error or 'cancelled'}."
            joined.decide("reject", cause, reason, {"run": run.id})
        else:
            reason = f"The training failed: {run.error or 'it registered no version'}"
            evidence = {"run": run.id, "error": run.error}
            joined.decide("reject", cause, reason, evidence)
            if not told:
                joined.alert("failed", "critical", _FAILED, {"reason": reason, **evidence}, context.champion)
    return [reason]


def _situation(context: LoopContext, now: datetime, last: datetime) -> Situation:
    """What triggers look at: alarms on the version that serves, since the last training."""
    policy = context.plan.retraining
    with context.workspace.database.reading() as connection:
        alerts, over = _alarms(connection, context, last)
        labelled = (
            _labelled_rows(connection, context, last) if any(isinstance(one, NewData) for one in policy.on) else 0
        )
        estimates = (
            _estimates(connection, context, last) if any(isinstance(one, Estimated) for one in policy.on) else []
        )
        asked = decisions_of(
            connection, context.plan.name, endpoint=context.endpoint, kinds=["retrain"], limit=_MOST_ALERTS
        )
    own = sorted(
        (one for one in asked if one.trigger != "person" and one.event_time is not None),
        key=lambda one: one.event_time or now,
        reverse=True,
    )
    alarmed = next((place for place, one in enumerate(own) if one.trigger in ALARMS), None)
    return Situation(
        now=now,
        last_training=last,
        alerts=tuple(one for one in alerts if one.version_id == context.champion and not _among(one, over)),
        labelled_rows=labelled,
        trainings=tuple(one.event_time for one in own if one.event_time is not None),
        changed=None if alarmed is None else own[alarmed].event_time,
        followed=sum(one.trigger == "follow_up" for one in own[:alarmed]),
        estimates=_estimated(context, estimates),
    )


def _alarms(connection: Connection, context: LoopContext, last: datetime) -> tuple[list[Alert], list[Incident]]:
    """Alerts of the kinds that the policy names, and the incidents of these kinds that are over."""
    alerts: list[Alert] = []
    over: list[Incident] = []
    for kind in alarms_named(context.plan.retraining):
        alerts += alerts_of(connection, endpoint=context.endpoint, kind=kind, since=last, limit=_MOST_ALERTS)
        over += incidents_of(connection, endpoint=context.endpoint, kind=kind, state="resolved", limit=_MOST_ALERTS)
    if not context.plan.retraining.debounce:
        # Where nothing is waited for, what was raised counts, though it has gone meanwhile; not what a person has ended, or what
        # labels or late rows no longer show.
        over = [one for one in over if one.resolved_by != KEPT or one.resolution in {TAKEN_BACK, WHY}]
    return alerts, over


def _labelled_rows(connection: Connection, context: LoopContext, last: datetime) -> int:
    results = results_of(
        connection, context.endpoint, monitor="performance", metric="coverage", since=last, limit=_MOST_RESULTS
    )
    return round(sum((one.value or 0.0) * one.rows for one in results))


def _estimates(connection: Connection, context: LoopContext, last: datetime) -> list[WindowResult]:
    monitor = estimate.MONITOR
    return results_of(
        connection, context.endpoint, monitor=monitor, version_id=context.champion, since=last, limit=_MOST_RESULTS
    )


def _estimated(context: LoopContext, results: list[WindowResult]) -> tuple[EstimatedWindow, ...]:
    """Each window with an estimate that can be trusted, and the metrics whose whole interval breaks an objective."""
    bounds = {f"{estimate.PREFIX}{one.metric}": one for one in context.plan.objectives if one.by is None}
    failing: dict[datetime, list[str]] = {}
    for one in results:
        bound = bounds.get(one.metric)
        if bound is None or one.holds is None:
            continue
        found = failing.setdefault(one.start, [])
        ends = [end for end in (one.low, one.high) if end is not None]
        if not one.holds and ends and not any(map(bound.holds, ends)):
            found.append(bound.metric)
    return tuple(
        EstimatedWindow(end=window_of(start, context.plan.windows).end, failing=tuple(metrics))
        for start, metrics in sorted(failing.items())
    )


def _among(alert: Alert, incidents: list[Incident]) -> bool:
    return any(
        (one.kind, one.title) == (alert.kind, alert.title) and one.id <= alert.id <= one.alert_id for one in incidents
    )
