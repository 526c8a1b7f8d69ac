"""State changes of a rollout: its row, the route and the aliases change together, in the caller's transaction."""

from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import Connection

from kept.core.errors import Conflict, Damaged
from kept.core.ids import new_id
from kept.deployment.endpoint import Endpoint, RouteRecord
from kept.deployment.records import append_route, current_route, insert_rollout, save_endpoint, update_rollout
from kept.deployment.rollout import Evidence, Phase, Rollout, RolloutStep, Rule, State
from kept.deployment.routing import Arm, Fallback, Role, Route
from kept.governance.records import approvers_of
from kept.registry.announcing import announce_alias, announce_no_alias
from kept.registry.records.versions import find_alias, put_alias, remove_alias, version_by_id
from kept.registry.version import CHALLENGER, CHAMPION, Alias, ModelVersion

_TRIALS: dict[Phase, Role] = {"shadow": "shadow", "canary": "canary", "ab": "challenger"}


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change of an endpoint: where it is written, by whom, why, on which evidence, and when."""

    connection: Connection
    by: str
    reason: str
    at: datetime
    event_time: datetime | None
    evidence: Evidence | None = None

    def because(self, reason: str, evidence: Evidence | None = None) -> "Change":
        """The same change with another reason."""
        return Change(
            connection=self.connection,
            by=self.by,
            reason=reason,
            at=self.at,
            event_time=self.event_time,
            evidence=evidence,
        )


def open_rollout(change: Change, endpoint: str, candidate: ModelVersion, champion: str | None, rule: Rule) -> Rollout:
    """A stored rollout of a version, which has no traffic yet."""
    rollout = Rollout(
        id=new_id(),
        endpoint=endpoint,
        candidate=candidate.id,
        champion=champion,
        rule=rule,
        state="waiting",
        step=0,
        evidence=(),
        reason=change.reason,
        event_time=change.event_time,
        created_at=change.at,
        updated_at=change.at,
    )
    insert_rollout(change.connection, rollout)
    return rollout


def begin(change: Change, rollout: Rollout) -> Rollout:
    """Gives a waiting rollout its first traffic, or says which approvals it waits for.

    An endpoint's first version takes all traffic at once: there is nothing to compare it with.
    """
    approvers = approvers_of(change.connection, rollout.candidate)
    if len(approvers) < rollout.rule.approvals:
        reason = f"It waits for approvals: {len(approvers)} of {rollout.rule.approvals} people have approved."
        return _move(change.because(reason), rollout, "waiting", 0) if reason != rollout.reason else rollout
    champion = champion_of(change.connection, rollout.endpoint)
    rollout = msgspec.structs.replace(rollout, champion=champion.version_id if champion else None)
    if champion is None:
        return promote(
            change.because(f"{change.reason.rstrip('.')}. It is the first version of this endpoint."), rollout
        )
    if rollout.rule.shadow is not None:
        return _try(change, rollout, "shadow", 0)
    return _first_traffic(change, rollout)


def go_on(change: Change, rollout: Rollout) -> Rollout:
    """Moves a version on trial to what comes next: its first traffic, the next step of its canary, or all traffic."""
    if rollout.phase == "shadow":
        return _first_traffic(change, rollout)
    following = rollout.step + 1
    if rollout.phase == "ab" or following >= len(rollout.rule.canary) - 1:
        return promote(change, rollout)
    return _try(change, rollout, "canary", following)


def hold(change: Change, rollout: Rollout) -> Rollout:
    """Leaves everything as it is until a person decides."""
    return rollout if rollout.state == "held" else _move(change, rollout, "held", rollout.step)


def _first_traffic(change: Change, rollout: Rollout) -> Rollout:
    if rollout.rule.challenger is not None:
        return _try(change, rollout, "ab", 0)
    if len(rollout.rule.canary) > 1:
        return _try(change, rollout, "canary", 0)
    why = "All traffic goes to it at once." if rollout.rule.keep_previous else "The policy has no canary."
    return promote(change.because(f"{change.reason.rstrip('.')}. {why}", change.evidence), rollout)


def _try(change: Change, rollout: Rollout, phase: Phase, step: int) -> Rollout:
    """Gives the candidate a copy of the traffic, the share of a step of its canary, or that of an A/B test."""
    version = the_version(change.connection, rollout.candidate)
    champion = champion_of(change.connection, rollout.endpoint)
    if champion is None:
        raise Damaged("it is on trial beside no champion", where=rollout.endpoint, fix="Restore it from a backup")
    role, share = _TRIALS[phase], 0.0
    if phase != "shadow":
        share = rollout.rule.canary[step] if phase == "canary" else rollout.rule.challenger or 0.0
    arms = (
        _weighted(champion, "champion", 1.0 - share),
        _arm(version, role, share, rollout.rule.fallback),
        *_standbys(change, rollout.endpoint, version),
    )
    _put_route(change, rollout.endpoint, arms, rollout.id)
    _name(change, version, CHALLENGER)
    return _move(change, rollout, phase, step)


def promote(change: Change, rollout: Rollout) -> Rollout:
    """Gives the candidate all traffic and the name champion."""
    version = the_version(change.connection, rollout.candidate)
    before = champion_of(change.connection, rollout.endpoint)
    arms: tuple[Arm, ...] = (_arm(version, "champion", 1.0, rollout.rule.fallback),)
    if rollout.rule.keep_previous and before is not None and before.version_id != version.id:
        arms += (msgspec.structs.replace(before, role="standby", weight=0.0, fallback=None),)
    _put_route(change, rollout.endpoint, arms, rollout.id)
    _name(change, version, CHAMPION)
    _unname(change, version, CHALLENGER)
    endpoint = Endpoint(name=rollout.endpoint, project=version.project, model=version.model, created_at=change.at)
    save_endpoint(change.connection, endpoint)
    return _move(change, rollout, "promoted", len(rollout.rule.canary) - 1)


def stop(change: Change, rollout: Rollout, state: State) -> Rollout:
    """Ends a running rollout: the champion has all traffic again."""
    if rollout.phase is not None:
        restore_champion(change, rollout.endpoint, rollout.id)
    _unname(change, the_version(change.connection, rollout.candidate), CHALLENGER)
    return _move(change, rollout, state, rollout.step)


def restore_champion(change: Change, endpoint: str, rollout_id: str | None) -> None:
    """Gives the champion all traffic."""
    champion = champion_of(change.connection, endpoint)
    if champion is None:
        raise Conflict("it serves nothing yet", where=endpoint, fix="Release a version first")
    arms = (_weighted(champion, "champion", 1.0), *_standbys(change, endpoint))
    _put_route(change, endpoint, arms, rollout_id)


def bring_back(change: Change, endpoint: str, version: ModelVersion, undone: Rollout | None) -> None:
    """Gives an earlier version all traffic and the name champion; `undone` is the promotion this takes back."""
    left = champion_of(change.connection, endpoint)
    arm = _arm(version, "champion", 1.0, left.fallback if left else None)
    _put_route(change, endpoint, (arm,), undone.id if undone else None)
    _name(change, version, CHAMPION)
    save_endpoint(
        change.connection,
        Endpoint(name=endpoint, project=version.project, model=version.model, created_at=change.at),
    )
    if undone is not None:
        _move(change, undone, "rolled_back", undone.step)


def champion_of(connection: Connection, endpoint: str) -> Arm | None:
    """The champion's arm of the route in force."""
    route = current_route(connection, endpoint)
    return route.route.champion if route else None


def _standbys(change: Change, endpoint: str, candidate: ModelVersion | None = None) -> tuple[Arm, ...]:
    """What the route in force holds ready, except a version that now has a part of its own."""
    route = current_route(change.connection, endpoint)
    held = route.route.standby if route else None
    return () if held is None or (candidate and held.version_id == candidate.id) else (held,)


def the_version(connection: Connection, version_id: str) -> ModelVersion:
    """The version, or `Damaged`: versions are never removed while a rollout names them."""
    version = version_by_id(connection, version_id)
    if version is None:
        raise Damaged(f"the model version {version_id} is gone", where="registry", fix="Restore it from a backup")
    return version


def _move(change: Change, rollout: Rollout, state: State, step: int) -> Rollout:
    moved = msgspec.structs.replace(
        rollout,
        state=state,
        step=step,
        reason=change.reason,
        event_time=change.event_time,
        updated_at=change.at,
    )
    entry = RolloutStep(
        state=state,
        step=step,
        share=moved.share,
        reason=change.reason,
        by=change.by,
        evidence=change.evidence,
        at=change.at,
        event_time=change.event_time,
    )
    moved = msgspec.structs.replace(moved, evidence=(*rollout.evidence, entry))
    update_rollout(change.connection, moved)
    return moved


def _put_route(change: Change, endpoint: str, arms: tuple[Arm, ...], rollout_id: str | None) -> RouteRecord:
    Route(endpoint=endpoint, arms=arms)
    return append_route(
        change.connection,
        RouteRecord(
            revision=0,
            endpoint=endpoint,
            arms=arms,
            reason=change.reason,
            rollout_id=rollout_id,
            set_by=change.by,
            at=change.at,
            event_time=change.event_time,
        ),
    )


def _name(change: Change, version: ModelVersion, alias: str) -> None:
    put_alias(
        change.connection,
        Alias(model=version.model, alias=alias, version_id=version.id, set_by=change.by, set_at=change.at),
    )
    announce_alias(change.connection, version.model, alias, version.number, change.at)


def _unname(change: Change, version: ModelVersion, alias: str) -> None:
    found = find_alias(change.connection, version.model, alias)
    if found is not None and found.version_id == version.id:
        remove_alias(change.connection, version.model, alias)
        announce_no_alias(change.connection, version.model, alias, change.at)


def _arm(version: ModelVersion, role: Role, weight: float, fallback: Fallback | None = None) -> Arm:
    return Arm(
        version_id=version.id,
        number=version.number,
        model=version.model,
        bundle=version.bundle,
        role=role,
        weight=weight,
        fallback=fallback,
    )


def _weighted(arm: Arm, role: Role, weight: float) -> Arm:
    return msgspec.structs.replace(arm, role=role, weight=weight)
