"""The story of a version: why it was trained, how it came to serve, and what took its place."""

from datetime import datetime

import msgspec
from sqlalchemy import Connection

from kept.deployment.records import rollouts_about
from kept.deployment.rollout import Rollout
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.loop.decision import Decision
from kept.loop.records import decisions_about
from kept.registry.catalog import resolve
from kept.registry.records.versions import version_by_id


class TellVersion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A judged version."""

    model: str
    version: str = "latest"


class Successor(msgspec.Struct, frozen=True, kw_only=True):
    """A version that took an endpoint over from this one."""

    endpoint: str
    model: str
    number: int
    reason: str
    at: datetime


class VersionStory(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided of a version, and why."""

    decisions: tuple[Decision, ...]
    """Why it was trained, and what the loop decided of it, oldest first."""
    rollouts: tuple[Rollout, ...]
    """Its way to each endpoint, newest first; every step with its reason and who or which rule decided."""
    successors: tuple[Successor, ...]
    """What took its place, newest first."""


@operation("loop.tell_version", needs=Permission.VIEW, on="model", audit=Audit.READ)
def tell_version(workspace: Workspace, actor: Actor, request: TellVersion) -> VersionStory:
    """Why a version was trained, how it came to serve, and what took its place."""
    del actor
    with workspace.database.reading() as connection:
        version = resolve(connection, request.model, request.version)
        rollouts = rollouts_about(connection, version.id)
        replaced = [one for one in rollouts if one.champion == version.id and one.state == "promoted"]
        return VersionStory(
            decisions=tuple(decisions_about(connection, version.run_id)) if version.run_id else (),
            rollouts=tuple(one for one in rollouts if one.candidate == version.id),
            successors=tuple(found for one in replaced if (found := _successor(connection, one)) is not None),
        )


def _successor(connection: Connection, rollout: Rollout) -> Successor | None:
    version = version_by_id(connection, rollout.candidate)
    if version is None:
        return None
    return Successor(
        endpoint=rollout.endpoint,
        model=version.model,
        number=version.number,
        reason=rollout.reason,
        at=rollout.updated_at,
    )
