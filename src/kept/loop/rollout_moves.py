"""Moving a rollout on: from approvals to its first traffic, from step to step, to all traffic, or back."""

from typing import Any

import msgspec

from kept.core.errors import CheckFailed, Conflict
from kept.deployment.release import Advance, advance, rule_decision
from kept.deployment.rollback import RollBack, roll_back
from kept.deployment.rollout import Action, Decision, Rollout
from kept.deployment.statistics import StepStatistics
from kept.governance.records import approvals_of
from kept.loop.decision import Kind
from kept.loop.dry_run import report
from kept.loop.records import decisions_about
from kept.loop.rollouts import step_statistics
from kept.loop.turn import Cause, Turn
from kept.monitoring.stream import Stream
from kept.monitoring.subject import Subject, subject_of
from kept.registry.records.versions import version_by_id


def begin(turn: Turn, rollout: Rollout) -> list[str]:
    """Gives a waiting candidate its first traffic once enough people have approved it."""
    with turn.workspace.database.reading() as connection:
        said = {one.actor for one in approvals_of(connection, rollout.candidate) if one.kind == "approval"}
    if len(said) < rollout.rule.approvals:
        return []
    if turn.reports_only:
        evidence = {"rollout": rollout.id, "step": rollout.step}
        reason = f"Would give the waiting candidate its first traffic: {len(said)} people have approved it"
        return report(turn, "advance", _cause(turn, rollout), reason, evidence)
    request = Advance(endpoint=rollout.endpoint, rollout=rollout.id, step=rollout.step, event_time=turn.now)
    try:
        advance(turn.workspace, turn.actor, request)
    except Conflict:
        return []
    return [f"The rollout begins: {len(said)} of {rollout.rule.approvals} people have approved it."]


def move(turn: Turn, rollout: Rollout, *, only_back: bool = False) -> list[str]:
    """Does with a version on trial what its rule says of its statistics so far; where told so, only if that is to roll it back."""
    if turn.now is None or rollout.champion is None:
        return []
    champion = subject_of(turn.workspace, rollout.champion)
    candidate = subject_of(turn.workspace, rollout.candidate)
    stream = Stream(turn.workspace, turn.endpoint)
    statistics = step_statistics(turn.workspace, stream, rollout, champion, candidate, turn.now)
    said = rule_decision(rollout, statistics)
    if said.action == "go_on" or (only_back and said.action != "roll_back"):
        return []
    if turn.reports_only:
        known = {"rollout": rollout.id, "step": rollout.step, **msgspec.to_builtins(said.evidence)}
        what = said.action.replace("_", " ")
        return report(turn, said.action, _cause(turn, rollout), f"Would {what}: {said.reason}", known)
    try:
        with turn.workspace.database.writing() as connection:
            _act(turn.inside(turn.workspace.inside(connection)), rollout, candidate, said, statistics)
    except (Conflict, CheckFailed):
        # Somebody else moved it between our look and now.
        return []
    return [said.reason]


def _act(
    turn: Turn, rollout: Rollout, candidate: Subject, said: Decision, statistics: tuple[StepStatistics, ...]
) -> None:
    evidence: dict[str, Any] = {"version": candidate.number, **msgspec.to_builtins(said.evidence)}
    if said.action == "roll_back":
        back = RollBack(endpoint=turn.endpoint, rollout=rollout.id, statistics=statistics, event_time=turn.now)
        roll_back(turn.workspace, turn.actor, back)
        title = f"version {candidate.number} was rolled back"
        turn.alert("rolled_back", "critical", title, {"reason": said.reason, **evidence}, candidate.version_id)
        turn.decide("roll_back", _cause(turn, rollout), said.reason, evidence)
    else:
        on = Advance(
            endpoint=turn.endpoint,
            rollout=rollout.id,
            step=rollout.step,
            state=rollout.state,
            statistics=statistics,
            event_time=turn.now,
        )
        advance(turn.workspace, turn.actor, on)
        kinds: dict[Action, Kind] = {"promote": "promote", "hold": "keep"}
        kind = kinds.get(said.action, "advance")
        if kind == "keep":
            title = f"the rollout of version {candidate.number} is held: a person must decide"
            facts = {"reason": said.reason, "to_decide": _commands(turn.endpoint), **evidence}
            turn.alert("held", "warning", title, facts, candidate.version_id)
        turn.decide(kind, _cause(turn, rollout), said.reason, evidence)


def _commands(endpoint: str) -> list[str]:
    """How a person lets a rollout that is held go on, or takes it back."""
    return [
        f'to go on: kept rollout advance {endpoint} --reason "..."',
        f'to go back: kept rollback --endpoint {endpoint} --reason "..."',
    ]


def _cause(turn: Turn, rollout: Rollout) -> Cause:
    """What set off the training that made a rollout's candidate; a person, where the loop did not."""
    with turn.workspace.database.reading() as connection:
        version = version_by_id(connection, rollout.candidate)
        about = decisions_about(connection, version.run_id) if version and version.run_id else []
    return Cause(trigger=about[0].trigger if about else "person")
