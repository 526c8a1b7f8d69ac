"""OpenLineage events of releases and monitoring."""

from collections.abc import Iterator
from functools import partial

from sqlalchemy import Connection

from kept.core.clock import format_time
from kept.deployment.endpoint import Endpoint
from kept.deployment.records import all_endpoints, rollouts_of
from kept.deployment.rollout import Rollout, State
from kept.governance.workspace import Workspace
from kept.monitoring.records import states_of
from kept.monitoring.result import MonitorState
from kept.monitoring.stream import predictions_table
from kept.plan.records import find_project
from kept.registry.lineage_runs import model_of
from kept.registry.lineage_telling import Due, is_told, note
from kept.registry.openlineage import Data, EventType, Job, JobType, Work, id_of
from kept.registry.records.versions import version_by_id

_LOOKED_AT = 20
_ENDS: dict[State, EventType] = {"promoted": "COMPLETE", "rolled_back": "ABORT", "replaced": "ABORT"}


def note_serving(workspace: Workspace) -> int:
    """Notes what is to be told of the newest releases, and of how far monitors have come; gives the number of events."""
    if not is_told(workspace.settings):
        return 0
    due: list[Due] = []
    with workspace.database.reading() as connection:
        for endpoint in all_endpoints(connection):
            for rollout in reversed(rollouts_of(connection, endpoint.name, limit=_LOOKED_AT)):
                due += _release(workspace, endpoint, rollout)
            due += _monitoring(workspace, connection, endpoint)
    return note(workspace, due)


def _release(workspace: Workspace, endpoint: Endpoint, rollout: Rollout) -> Iterator[Due]:
    """A release begins with its rollout, and ends when the version has taken over, or gone."""
    yield Due(rollout.id, "START", rollout.created_at, partial(_released, workspace, endpoint, rollout))
    if rollout.state in _ENDS:
        ended = partial(_released, workspace, endpoint, rollout)
        yield Due(rollout.id, _ENDS[rollout.state], rollout.updated_at, ended)


def _released(workspace: Workspace, endpoint: Endpoint, rollout: Rollout) -> Work:
    with workspace.database.reading() as connection:
        version = version_by_id(connection, rollout.candidate)
    inputs = () if version is None else (model_of(version),)
    promoted = rollout.state == "promoted" and version is not None
    made = Data(name=f"endpoints/{endpoint.name}", version=str(version.number) if version is not None else None)
    return Work(
        id=rollout.id,
        job=_job(workspace, endpoint, "release", "RELEASE"),
        inputs=inputs,
        outputs=(made,) if promoted else (),
        error=rollout.reason,
    )


def _monitoring(workspace: Workspace, connection: Connection, endpoint: Endpoint) -> Iterator[Due]:
    """One piece of work for each version and each event time up to which its monitors have looked."""
    furthest: dict[str, MonitorState] = {}
    for state in states_of(connection, endpoint.name):
        known = furthest.get(state.version_id)
        if state.watermark is not None and (
            known is None or known.watermark is None or state.watermark > known.watermark
        ):
            furthest[state.version_id] = state
    for state in furthest.values():
        if state.watermark is None:
            continue
        name = f"{endpoint.name}/{state.version_id}/{format_time(state.watermark)}"
        work = id_of(name, state.watermark)
        watched = partial(_watched, workspace, endpoint, state, work)
        yield Due(work, "START", state.updated_at, watched)
        yield Due(work, "COMPLETE", state.updated_at, watched)


def _watched(workspace: Workspace, endpoint: Endpoint, state: MonitorState, work: str) -> Work:
    assert state.watermark is not None  # noqa: S101 - only those are told of
    table, until = predictions_table(endpoint.name), format_time(state.watermark)
    known = workspace.tables.version(table)
    with workspace.database.reading() as connection:
        version = version_by_id(connection, state.version_id)
    predictions = Data(name=table, version=None if known is None else str(known))
    return Work(
        id=work,
        job=_job(workspace, endpoint, "monitoring", "MONITORING"),
        inputs=(predictions,) if version is None else (predictions, model_of(version)),
        outputs=(Data(name=f"monitors/{endpoint.name}", version=until),),
        until=until,
    )


def _job(workspace: Workspace, endpoint: Endpoint, what: str, kind: JobType) -> Job:
    with workspace.database.reading() as connection:
        project = find_project(connection, endpoint.project)
    question, owner = ("", "") if project is None else (project.question, project.owner)
    return Job(name=f"{endpoint.name}.{what}", kind=kind, description=question, owner=owner)
