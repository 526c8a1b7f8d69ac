"""The progress report of a rollout: both versions' numbers, the shadow's differences, and what the rule says."""

from datetime import datetime

import msgspec
import polars as pl

from kept.core.errors import NotFound
from kept.deployment.catalog import status_of, the_endpoint
from kept.deployment.release import rule_decision
from kept.deployment.rollout import Decision, Rollout, RolloutStep
from kept.deployment.statistics import StepStatistics
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.loop.rollouts import step_statistics
from kept.loop.shadowed import ShadowReport, shadow_report
from kept.monitoring.stream import Stream
from kept.monitoring.subject import Subject, subject_of
from kept.monitoring.watch import watermark_of


class ShowRollout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest rollout of an endpoint."""

    endpoint: str


class RolloutReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a rollout goes, or went."""

    endpoint: str
    rollout: Rollout
    """With every step so far and its evidence."""
    candidate: int
    """The number of the version on trial."""
    champion: int | None
    """The number of the version that served when it began."""
    now: StepStatistics | None
    """Both versions in the present step; None when it is not on trial, or nothing was shipped yet."""
    said: Decision | None
    """What the rule says of it now."""
    shadow: ShadowReport | None
    """Of its time as a shadow, running or over; None when it had none."""


@operation("loop.rollout", needs=Permission.VIEW, audit=Audit.READ)
def show_rollout(workspace: Workspace, actor: Actor, request: ShowRollout) -> RolloutReport:
    """How an endpoint's newest rollout goes: each step, both versions side by side, agreement by slice, and the rule's word."""
    del actor
    with workspace.database.reading() as connection:
        status = status_of(connection, the_endpoint(connection, request.endpoint))
    rollout = status.rollout
    if rollout is None:
        raise NotFound("it has had no rollout", where=request.endpoint, fix="Release a version: kept release")
    candidate = subject_of(workspace, rollout.candidate)
    champion = None if rollout.champion is None else subject_of(workspace, rollout.champion)
    stream = Stream(workspace, request.endpoint)
    now = watermark_of(workspace, request.endpoint)
    steps: tuple[StepStatistics, ...] = ()
    if champion is not None and rollout.phase is not None and now is not None:
        steps = step_statistics(workspace, stream, rollout, champion, candidate, now)
    return RolloutReport(
        endpoint=request.endpoint,
        rollout=rollout,
        candidate=candidate.number,
        champion=None if champion is None else champion.number,
        now=steps[-1] if steps else None,
        said=rule_decision(rollout, steps) if steps else None,
        shadow=None if champion is None else _shadow(stream, rollout, champion, candidate),
    )


def _shadow(stream: Stream, rollout: Rollout, champion: Subject, candidate: Subject) -> ShadowReport | None:
    place = next((place for place, one in enumerate(rollout.evidence) if one.state == "shadow"), None)
    if place is None:
        return None
    begin = rollout.evidence[place].at
    pairs = stream.pairs_since(begin, champion.version_id, candidate.version_id)
    end = _end(rollout.evidence[place + 1 :])
    if end is not None and pairs.height:
        pairs = pairs.filter(pl.col("received_at") < end)
    return shadow_report(pairs, champion.task)


def _end(later: tuple[RolloutStep, ...]) -> datetime | None:
    """When the shadow was over: at the first step that is not of its own being held."""
    return next((one.at for one in later if one.state != "held"), None)
