"""Releasing a version: starting its rollout and moving it on."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection

from kept.core.clock import as_utc
from kept.core.errors import CheckFailed, Conflict, Invalid
from kept.deployment.catalog import status_of, the_endpoint
from kept.deployment.endpoint import Endpoint, EndpointStatus
from kept.deployment.records import find_endpoint, running_rollout, save_endpoint
from kept.deployment.rollout import Decision, Rollout, Rule, State
from kept.deployment.routing import Fallback
from kept.deployment.rule import decide
from kept.deployment.statistics import StepStatistics
from kept.deployment.switching import Change, begin, champion_of, go_on, hold, open_rollout, stop
from kept.governance.actor import Actor, Permission
from kept.governance.operation import operation
from kept.governance.records import approvals_of
from kept.governance.workspace import Workspace
from kept.measures.drift.cycle import UTC
from kept.measures.metrics import metric
from kept.plan.objective import Objective
from kept.plan.policy import Release
from kept.plan.records import find_project
from kept.plan.windows import Windows
from kept.registry.catalog import resolve
from kept.registry.version import ModelVersion

# Answers to copies that a version must give before it takes all traffic at once.
_LEAST_LOOK = 20


class ReleaseVersion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version that is to take over an endpoint, by the release policy of its project.

    `model` is the endpoint's model, or the one of the endpoint's name, when it is not given; `version` a number, an alias, an
    id, or `latest`. `event_time` is the endpoint's event time now, when that is not the present. With `replace` a
    rollout that is running is ended for this one.
    """

    endpoint: str
    model: str | None = None
    version: str = "latest"
    reason: str = ""
    event_time: datetime | None = None
    replace: bool = False


class Advance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Moves a rollout one step on: from `step`, so that two who look at the same step move it once.

    With the statistics of its steps it moves only when the rule says so. Without them a person decides, and says why.
    """

    endpoint: str
    rollout: str
    step: int
    state: State | None = None
    """What it was then, where that was told: a shadow and the first step of its canary are both step 0."""
    statistics: tuple[StepStatistics, ...] = ()
    reason: str = ""
    event_time: datetime | None = None


@operation("deployment.release", needs=Permission.RELEASE, on="endpoint")
def release(workspace: Workspace, actor: Actor, request: ReleaseVersion) -> EndpointStatus:
    """Starts a rollout: waiting for approvals, then canary by steps; an endpoint's first version takes all traffic.

    A version that failed its objectives needs a waiver. Asking again for the version that is on its way changes nothing,
    except that a rollout whose approvals have come begins.
    """
    with workspace.database.writing() as connection:
        known = find_endpoint(connection, request.endpoint)
        version = resolve(connection, request.model or (known.model if known else request.endpoint), request.version)
        _require_releasable(connection, version)
        now = workspace.clock.now()
        endpoint = known or Endpoint(
            name=request.endpoint, project=version.project, model=version.model, created_at=now
        )
        if endpoint.project != version.project:
            what = f"it belongs to the project {endpoint.project}, the version to {version.project}"
            raise Conflict(what, where=request.endpoint, fix="Release it to an endpoint of its own")
        if known is None:
            save_endpoint(connection, endpoint)
        change = Change(
            connection=connection,
            by=actor.name,
            reason=request.reason.strip() or f"{actor.name} releases version {version.number} of {version.model}.",
            at=now,
            event_time=_utc(request.event_time),
        )
        _start(change, endpoint, version, replace=request.replace)
        return status_of(connection, endpoint)


@operation("deployment.advance", needs=Permission.RELEASE, on="endpoint")
def advance(workspace: Workspace, actor: Actor, request: Advance) -> EndpointStatus:
    """Moves a rollout on: from waiting to its shadow or first step, from step to step, or to all traffic.

    Where the rule says so of its statistics, it is held instead: a person must then decide.
    """
    with workspace.database.writing() as connection:
        endpoint = the_endpoint(connection, request.endpoint)
        rollout = expect_running(connection, request.endpoint, request.rollout, request.step, request.state)
        change = Change(
            connection=connection,
            by=actor.name,
            reason=request.reason.strip(),
            at=workspace.clock.now(),
            event_time=_utc(request.event_time),
        )
        if rollout.state == "waiting":
            begun = begin(change.because(change.reason or "Its approvals have come."), rollout)
            if begun.state == "waiting":
                raise Conflict(begun.reason.rstrip("."), where=request.endpoint, fix="Approve it: kept approve")
        else:
            _go_on(change, actor, rollout, request.statistics)
        return status_of(connection, endpoint)


def expect_running(
    connection: Connection, endpoint: str, rollout_id: str, step: int | None = None, state: State | None = None
) -> Rollout:
    """The running rollout, when it is the one that the caller looked at."""
    rollout = running_rollout(connection, endpoint)
    moved = rollout is None or step not in {None, rollout.step} or state not in {None, rollout.state}
    if rollout is None or rollout.id != rollout_id or moved:
        fix = "Look at its status and decide again"
        raise Conflict("the rollout has moved on", where=endpoint, fix=fix)
    return rollout


def rule_decision(rollout: Rollout, statistics: tuple[StepStatistics, ...]) -> Decision:
    """What the rollout's rule says of the statistics of all its steps so far. While it is held, it can only go back."""
    phase = rollout.phase or "canary"
    step = rollout.step if phase == "canary" else 0
    if len(statistics) != step + 1:
        fix = "Give the statistics of every step so far"
        what = f"there are statistics of {len(statistics)} steps, and it is at step {step + 1}"
        raise Invalid(what, where=rollout.endpoint, fix=fix)
    decision = decide(rollout.rule, statistics, phase)
    if rollout.state == "held" and decision.action != "roll_back":
        return msgspec.structs.replace(decision, action="go_on")
    return decision


def rule_of(policy: Release, objectives: tuple[Objective, ...], windows: Windows | None = None) -> Rule:
    """What a rollout is held to, from what its project declares."""
    labelled = [one.metric for one in objectives if not metric(one.metric).operational]
    swift = policy.strategy == "blue_green"
    fallback = policy.fallback
    bounds = [one.bound for one in objectives if one.metric == "latency_p99_ms" and one.by is None]
    return Rule(
        canary=(1.0,) if swift else policy.canary,
        step=policy.step,
        step_rows=policy.step_rows,
        timeout=policy.timeout,
        approvals=policy.approvals,
        max_error_rate=policy.max_error_rate,
        max_latency_ratio=policy.max_latency_ratio,
        margin=policy.margin,
        alpha=policy.alpha,
        latency_p99_ms=min(bounds, default=None),
        shadow=(policy.shadow or timedelta(0)) if swift else policy.shadow,
        shadow_rows=max(policy.shadow_rows, _LEAST_LOOK) if swift else policy.shadow_rows,
        max_disagreement=policy.max_disagreement,
        challenger=policy.challenger,
        keep_previous=swift or (fallback is not None and fallback.previous),
        on_timeout=policy.on_timeout,
        quality_required=policy.quality_required,
        judged_by="class" if labelled[:1] == ["accuracy"] else "probability",
        fallback=None if fallback is None else msgspec.convert(msgspec.to_builtins(fallback), Fallback),
        windows=windows,
    )


def _start(change: Change, endpoint: Endpoint, version: ModelVersion, *, replace: bool) -> None:
    champion = champion_of(change.connection, endpoint.name)
    if champion is not None and champion.version_id == version.id:
        raise Conflict(f"version {version.number} of {version.model} serves it already", where=endpoint.name)
    running = running_rollout(change.connection, endpoint.name)
    if running is not None and running.candidate == version.id:
        if running.state == "waiting":
            begin(change, running)
        return
    if running is not None:
        if not replace:
            fix = "Wait for it, roll it back, or release with replace"
            what = f"another rollout is running ({running.reason.rstrip('.')})"
            raise Conflict(what, where=endpoint.name, fix=fix)
        stop(change.because(f"Version {version.number} of {version.model} replaces it."), running, "replaced")
    rule = _rule_for(change.connection, version)
    _check_fallback(rule, version)
    begin(change, open_rollout(change, endpoint.name, version, champion.version_id if champion else None, rule))


def _check_fallback(rule: Rule, version: ModelVersion) -> None:
    """Refuses declared answers that are none of such a model, and rules about what it does not ask for."""
    fallback = rule.fallback
    if fallback is None:
        return
    where, columns = f"{version.model} version {version.number}", version.card.lineage.features
    for one in fallback.rules:
        if one.column not in columns:
            what = f"a rule of its fallback is about {one.column!r}, which is no input of the model"
            raise Invalid(what, where=where, fix=f"It takes {', '.join(columns)}")
        _check_answer(one.answer, version, "a rule of its fallback answers")
    if fallback.constant is not None:
        _check_answer(fallback.constant, version, "the constant of its fallback is")


def _check_answer(answer: float | str, version: ModelVersion, which: str) -> None:
    task, classes = version.card.report.task, version.card.report.classes
    adopted = version.card.lineage.adopted
    if adopted is not None and adopted.flavour == "onnx":
        what = f"{which} {answer!r}, which is no tensor, and tensors are what it answers"
        fix = "Declare fallback=kept.fall_back(previous=True)"
        raise Invalid(what, where=f"{version.model} version {version.number}", fix=fix)
    if isinstance(answer, str):
        names = [str(one).lower() if isinstance(one, bool) else str(one) for one in classes]
        fits, fix = answer in names, f"It is one of {', '.join(names)}" if names else "Give a number"
    else:
        fits = task == "regression" or (task == "binary" and 0 <= answer <= 1)
        fix = "Give a class as text" if task == "multiclass" else "Give a probability from 0 to 1"
    if not fits:
        what = f"{which} {answer!r}, which is no answer of a {task} model"
        raise Invalid(what, where=f"{version.model} version {version.number}", fix=fix)


def _go_on(change: Change, actor: Actor, rollout: Rollout, statistics: tuple[StepStatistics, ...]) -> None:
    if statistics:
        decision = rule_decision(rollout, statistics)
        if decision.action == "hold":
            hold(change.because(decision.reason, decision.evidence), rollout)
            return
        if decision.action not in {"advance", "promote"}:
            fix = "Wait, or roll it back" if decision.action == "go_on" else "Roll it back"
            raise CheckFailed(decision.reason.rstrip("."), where=rollout.endpoint, fix=fix)
        change = change.because(decision.reason, decision.evidence)
    elif actor.is_automation or not change.reason:
        fix = "Give the statistics of its steps; a person may give a reason instead"
        raise Invalid("there is nothing that says it may go on", where=rollout.endpoint, fix=fix)
    go_on(change, rollout)


def _require_releasable(connection: Connection, version: ModelVersion) -> None:
    if version.status == "accepted" or any(one.kind == "waiver" for one in approvals_of(connection, version.id)):
        return
    raise CheckFailed(
        f"it failed {'; '.join(version.verdict.failed)}. {' '.join(version.verdict.reasons)}".rstrip("."),
        where=f"{version.model} version {version.number}",
        fix="Train a better one, or have a person waive this, with the reason: "
        f'kept waive {version.number} --model {version.model} --reason "..."',
    )


def _rule_for(connection: Connection, version: ModelVersion) -> Rule:
    """The rule that the version's project declares; the defaults for a model without a project."""
    project = find_project(connection, version.project)
    plan = project.plan if project else {}
    policy = msgspec.convert(plan.get("release", {}), Release)
    objectives = msgspec.convert(plan.get("objectives", []), tuple[Objective, ...])
    return rule_of(policy, objectives, _windows(plan.get("monitor", {})))


def _windows(monitor: dict[str, Any]) -> Windows | None:
    length = msgspec.convert(monitor.get("window"), timedelta | None)
    return None if length is None else Windows(length=length, zone=monitor.get("time_zone", UTC))


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else as_utc(moment, where="event_time")
