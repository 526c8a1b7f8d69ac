"""The state of the loop: what serves, how far it was watched, what was found, what is under way."""

from datetime import datetime

import msgspec
from sqlalchemy import Connection

from kept.deployment.catalog import status_of, the_endpoint
from kept.deployment.endpoint import Endpoint
from kept.deployment.records import all_endpoints
from kept.deployment.rollout import Rollout
from kept.deployment.routing import Arm
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.loop.decision import Decision
from kept.loop.progress import read_progress
from kept.loop.records import decisions_of, trainings_of
from kept.loop.retraining import open_training, unsettled
from kept.monitoring.alert import Alert
from kept.monitoring.estimate import SUPPORT
from kept.monitoring.records import alerts_of, results_of
from kept.monitoring.recount import RECOUNTED, TOO_LATE
from kept.monitoring.result import WindowResult
from kept.monitoring.traffic import SERVICE
from kept.monitoring.watch import watermark_of
from kept.pipelines.records import steps_of
from kept.pipelines.run_step import RunStep
from kept.tracking.run import Run

_SHOWN = 10
_WINDOWS_SHOWN = 30


class ShowLoop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One endpoint, or all of them."""

    endpoint: str | None = None


class EndpointState(msgspec.Struct, frozen=True, kw_only=True):
    """Where the loop stands with one endpoint. Times are event times where not said otherwise."""

    endpoint: str
    project: str
    event_time: datetime | None
    """The endpoint's present: the newest event time of a shipped prediction. None before the first one."""
    decided_until: datetime | None
    """Up to here everything was watched, and what follows from it was decided."""
    traffic_until: datetime | None
    """End of the last window whose traffic was judged."""
    labelled_until: datetime | None
    """End of the last window whose labelled predictions were judged."""
    arms: tuple[Arm, ...]
    """What serves, and which share."""
    rollout: Rollout | None
    """The newest rollout: running, or how it ended."""
    windows: tuple[WindowResult, ...]
    """The last windows' values over all rows: drift and decay against their budgets, the metrics of objectives, late rows."""
    alerts: tuple[Alert, ...]
    """The newest ones, newest first."""
    decisions: tuple[Decision, ...]
    """The newest ones, newest first."""
    run: Run | None
    """The training that runs or waits, else the last one."""
    steps: tuple[RunStep, ...]
    training: bool
    """Whether a training runs or waits, or what it made was not decided on yet."""
    busy: bool
    """Whether anything is under way: a training, or a rollout."""


class LoopStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where the loop stands."""

    endpoints: tuple[EndpointState, ...]


@operation("loop.status", needs=Permission.VIEW, audit=Audit.READ)
def show_loop(workspace: Workspace, actor: Actor, request: ShowLoop) -> LoopStatus:
    """Where the loop stands with each endpoint, as of one moment."""
    del actor
    with workspace.database.reading() as connection:
        found = [the_endpoint(connection, request.endpoint)] if request.endpoint else all_endpoints(connection)
        # All is read in one transaction: a decision that led to `decided_until` is never missing.
        return LoopStatus(endpoints=tuple(_state_of(workspace.inside(connection), connection, one) for one in found))


def _state_of(workspace: Workspace, connection: Connection, endpoint: Endpoint) -> EndpointState:
    status = status_of(connection, endpoint)
    progress = read_progress(workspace, endpoint.name)
    running = open_training(workspace, endpoint.project, endpoint.name)
    last = trainings_of(connection, endpoint.project, endpoint.name, limit=1)
    run = running or (last[0] if last else None)
    training = running is not None or unsettled(workspace, endpoint) is not None
    return EndpointState(
        endpoint=endpoint.name,
        project=endpoint.project,
        event_time=watermark_of(workspace, endpoint.name),
        decided_until=progress.watermark,
        traffic_until=progress.traffic_until,
        labelled_until=progress.labelled_until,
        arms=status.route.arms if status.route else (),
        rollout=status.rollout,
        windows=tuple(_windows(connection, endpoint.name)),
        alerts=tuple(alerts_of(connection, endpoint=endpoint.name, limit=_SHOWN)),
        decisions=tuple(decisions_of(connection, endpoint.project, endpoint=endpoint.name, limit=_SHOWN)),
        run=run,
        steps=tuple(steps_of(connection, run.id)) if run else (),
        training=training,
        busy=training or (status.rollout is not None and status.rollout.running),
    )


def _windows(connection: Connection, endpoint: str) -> list[WindowResult]:
    found = results_of(connection, endpoint, monitor="drift", limit=_WINDOWS_SHOWN)
    for monitor in ("decay", "estimate", "performance"):
        found += results_of(connection, endpoint, monitor=monitor, slice_name="", limit=5 * _WINDOWS_SHOWN)
    for metric in (RECOUNTED, TOO_LATE):
        found += results_of(connection, endpoint, monitor=SERVICE, metric=metric, limit=_WINDOWS_SHOWN)
    found = [one for one in found if one.metric != SUPPORT]
    return sorted(found, key=lambda one: (one.start, one.monitor, one.metric))
