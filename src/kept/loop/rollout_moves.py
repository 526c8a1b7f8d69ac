"""Moving a rollout on: from approvals to its first traffic, from step to step, to all traffic, or back."""

from typing import Any

import msgspec

from kept.core.errors import CheckFailed, Conflict
from kept.deployment.release import Advance, advance, rule_decision
from kept.deployment.rollback import RollBack, roll_back
from kept.deployment.rollout import Action, Decision, Rollout
from kept.deployment.statistics import StepStatistics
from kept.governance.records import approvals_of
from kept.loop.context import Cause, LoopContext
from kept.loop.decision import Kind
from kept.loop.dry_run import report
from kept.loop.records import decisions_about
from kept.loop.rollouts import step_statistics
from kept.monitoring.stream import Stream
from kept.monitoring.subject import Subject, subject_of
from kept.registry.records.versions import version_by_id


def begin(context: LoopContext, rollout: Rollout) -> list[str]:
    """Gives a waiting candidate its first traffic once enough people have approved it."""
    with context.workspace.database.reading() as connection:
        said = {one.actor for one in approvals_of(connection, rollout.candidate) if one.kind == "approval"}
    if len(said) < rollout.rule.approvals:
        return []
    if context.reports_only:
        evidence = {"rollout": rollout.id, "step": rollout.step}
        reason = f"Would give the waiting candidate its first traffic: {len(said)} people have approved it"
        return report(context, "advance", _cause(context, rollout), reason, evidence)
    request = Advance(endpoint=rollout.endpoint, rollout=rollout.id, step=rollout.step, event_time=context.now)
    try:
        advance(context.workspace, context.actor, request)
    except Conflict:
        return []
    return [f"The rollout begins: {len(said)} of {rollout.rule.approvals} people have approved it."]


def move(context: LoopContext, rollout: Rollout, *, only_back: bool = False) -> list[str]:
    """Does with a version on trial what its rule says of its statistics so far; where told so, only if that is to roll it back."""
    if context.now is None or rollout.champion is None:
        return []
    champion = subject_of(context.workspace, rollout.champion)
    candidate = subject_of(context.workspace, rollout.candidate)
    stream = Stream(context.workspace, context.endpoint)
    statistics = step_statistics(context.workspace, stream, rollout, champion, candidate, context.now)
    said = rule_decision(rollout, statistics)
    if said.action == "go_on" or (only_back and said.action != "roll_back"):
        return []
    if context.reports_only:
        known = {"rollout": rollout.id, "step": rollout.step, **msgspec.to_builtins(said.evidence)}
        what = said.action.replace("_", " ")
        return report(context, said.action, _cause(context, rollout), f"Would {what}: {said.reason}", known)
    try:
        with context.workspace.database.writing() as connection:
            _act(context.inside(context.workspace.inside(connection)), rollout, candidate, said, statistics)
    except (Conflict, CheckFailed):
        # Somebody else moved it between our look and now.
        return []
    return [said.reason]


def _act(
    context: LoopContext, rollout: Rollout, candidate: Subject, said: Decision, statistics: tuple[StepStatistics, ...]
) -> None:
    evidence: dict[str, Any] = {"version": candidate.number, **msgspec.to_builtins(said.evidence)}
    if said.action == "roll_back":
        back = RollBack(endpoint=context.endpoint, rollout=rollout.id, statistics=statistics, event_time=context.now)
        roll_back(context.workspace, context.actor, back)
        title = f"version {candidate.number} was rolled back"
        context.alert("rolled_back", "critical", title, {"reason": said.reason, **evidence}, candidate.version_id)
        context.decide("roll_back", _cause(context, rollout), said.reason, evidence)
    else:
        on = Advance(
            endpoint=context.endpoint,
            rollout=rollout.id,
            step=rollout.step,
            state=rollout.state,
            statistics=statistics,
            event_time=context.now,
        )
        advance(context.workspace, context.actor, on)
        kinds: dict[Action, Kind] = {"promote": "promote", "hold": "keep"}
        kind = kinds.get(said.action, "advance")
        if kind == "keep":
            title = f"the rollout of version {candidate.number} is held: a person must decide"
            facts = {"reason": said.reason, "to_decide": _commands(context.endpoint), **evidence}
            context.alert("held", "warning", title, facts, candidate.version_id)
        context.decide(kind, _cause(context, rollout), said.reason, evidence)


def _commands(endpoint: str) -> list[str]:
    """How a person lets a rollout that is held go on, or takes it back."""
    return [
        f'to go on: kept rollout advance {endpoint} --reason "..."',
        f'to go back: kept rollback --endpoint {endpoint} --reason "..."',
    ]


def _cause(context: LoopContext, rollout: Rollout) -> Cause:
    """What set off the training that made a rollout's candidate; a person, where the loop did not."""
    with context.workspace.database.reading() as connection:
        version = version_by_id(connection, rollout.candidate)
        about = decisions_about(connection, version.run_id) if version and version.run_id else []
    return Cause(trigger=about[0].trigger if about else "person")
