"""Rolling back: a canary to its champion, or a champion to the version before it, at once."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from kept.core.clock import as_utc
from kept.core.errors import CheckFailed, Conflict, Invalid
from kept.deployment.catalog import status_of, the_endpoint
from kept.deployment.endpoint import EndpointStatus
from kept.deployment.records import promotion_of, routes_of, running_rollout
from kept.deployment.release import expect_running, rule_decision
from kept.deployment.rollout import Rollout, Rule
from kept.deployment.statistics import StepStatistics
from kept.deployment.switching import Change, bring_back, champion_of, open_rollout, promote, stop, the_version
from kept.governance.actor import Actor, Permission
from kept.governance.operation import operation
from kept.governance.workspace import Workspace
from kept.registry.catalog import resolve
from kept.registry.version import ModelVersion


class RollBack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Takes a running rollout back; without one, the last promotion; or goes to a version that served before (`to`).

    `rollout` is the one that the caller looked at, so that a newer one is not hit. Automation gives the statistics for
    which the rule says so, or, where no rollout runs, its evidence; a person gives a reason.
    """

    endpoint: str
    rollout: str | None = None
    to: str | None = None
    statistics: tuple[StepStatistics, ...] = ()
    evidence: dict[str, Any] = {}
    reason: str = ""
    event_time: datetime | None = None


@operation("deployment.roll_back", needs=Permission.RELEASE, on="endpoint")
def roll_back(workspace: Workspace, actor: Actor, request: RollBack) -> EndpointStatus:
    """Takes traffic back to the champion, or to the version before it, in one transaction."""
    with workspace.database.writing() as connection:
        endpoint = the_endpoint(connection, request.endpoint)
        change = Change(
            connection=connection,
            by=actor.name,
            reason=request.reason.strip(),
            at=workspace.clock.now(),
            event_time=None if request.event_time is None else as_utc(request.event_time, where="event_time"),
        )
        if request.rollout is not None:
            expect_running(connection, request.endpoint, request.rollout)
        running = running_rollout(connection, request.endpoint)
        if running is not None:
            stop(_justified(change, actor, running, request), running, "rolled_back")
        if running is None or request.to is not None:
            _go_back(change, actor, request)
        return status_of(connection, the_endpoint(connection, endpoint.name))


def _justified(change: Change, actor: Actor, running: Rollout, request: RollBack) -> Change:
    """The change with the rule's reason where there are statistics; automation may not go without."""
    if request.statistics:
        decision = rule_decision(running, request.statistics)
        if decision.action == "roll_back":
            return change.because(decision.reason, decision.evidence)
        if actor.is_automation:
            raise CheckFailed(decision.reason.rstrip("."), where=running.endpoint, fix="Let it go on")
    if actor.is_automation:
        fix = "Give the statistics of its steps"
        raise Invalid("there is nothing that says it must go back", where=running.endpoint, fix=fix)
    return change if change.reason else change.because(f"{actor.name} rolls it back.")


def _go_back(change: Change, actor: Actor, request: RollBack) -> None:
    champion = champion_of(change.connection, request.endpoint)
    if champion is None:
        raise Conflict("it serves nothing yet", where=request.endpoint, fix="Release a version first")
    if actor.is_automation and not (request.evidence and change.reason):
        fix = "Give a reason and the evidence"
        raise Invalid("there is nothing that says it must go back", where=request.endpoint, fix=fix)
    undone = promotion_of(change.connection, request.endpoint, champion.version_id)
    previous = undone.champion if undone else None
    target = _target(change.connection, request, champion.model) if request.to is not None else None
    if target is None and previous is None:
        fix = "Name one that served before, or release another version"
        raise Conflict("there is no version before this one", where=request.endpoint, fix=fix)
    version = target or the_version(change.connection, str(previous))
    if version.id == champion.version_id:
        if request.to is not None and request.rollout is None:
            raise Conflict(f"version {version.number} serves it already", where=request.endpoint)
        return
    reason = change.reason or f"{actor.name} rolls back from version {champion.number} to version {version.number}."
    change = change.because(reason)
    if version.id == previous:
        bring_back(change, request.endpoint, version, undone)
    else:
        _jump(change, request.endpoint, version, champion.version_id, undone)


def _jump(change: Change, endpoint: str, version: ModelVersion, champion: str, undone: Rollout | None) -> None:
    """Goes to a version that is not the one before: a promotion of its own, so that going back from it leads here."""
    rule = undone.rule if undone else Rule()
    promote(change, open_rollout(change, endpoint, version, champion, rule))


def _target(connection: Connection, request: RollBack, model: str) -> ModelVersion:
    version = resolve(connection, model, str(request.to))
    served = {one.route.champion.version_id for one in routes_of(connection, request.endpoint)}
    if version.id not in served:
        fix = f"Release it: kept release {version.number}"
        raise Conflict(f"version {version.number} has never been its champion", where=request.endpoint, fix=fix)
    return version
