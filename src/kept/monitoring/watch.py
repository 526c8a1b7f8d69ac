"""Watching an endpoint: every window of event time is dealt with once, in order, and remembered in one transaction."""

from datetime import datetime
from itertools import islice

import msgspec

from kept.deployment.endpoint import EndpointStatus, RouteRecord
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.monitoring.labelled import STATE as LABELLED
from kept.monitoring.labelled import LabelledWatch, looks_back
from kept.monitoring.records import find_state, save_state, states_of
from kept.monitoring.result import MonitorState
from kept.monitoring.stream import Stream
from kept.monitoring.subject import subject_of
from kept.monitoring.traffic import STATE as TRAFFIC
from kept.monitoring.traffic import TrafficWatch
from kept.monitoring.window import closed_windows, maturity, window_of
from kept.plan.project import Project

STREAM = "stream"

# Windows dealt with in one go, so that what waits for the caller does not wait for long.
_MOST_WINDOWS = 40


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """How far the predictions of an endpoint have come."""

    version: int
    """Of the table of predictions, up to which was looked."""
    first: datetime
    """The oldest event time."""


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """How far an endpoint's monitors have come, in event time."""

    watermark: datetime | None
    """The newest event time of a shipped prediction: the endpoint's present."""
    traffic_until: datetime | None
    """End of the last window whose traffic was judged."""
    labelled_until: datetime | None
    """End of the last window whose labelled predictions were judged."""
    windows: int = 0
    """Windows that were judged in this go, for traffic or for labels."""


def watch(
    workspace: Workspace,
    actor: Actor,
    project: Project,
    status: EndpointStatus,
    routes: list[RouteRecord],
    *,
    last_training: datetime | None,
) -> Watched:
    """Deals with everything that has come since the last time.

    Args:
        workspace: where.
        actor: in whose name alerts are raised.
        project: its windows, budget, objectives and policies.
        status: the endpoint as it stands.
        routes: the routes it has had, oldest first.
        last_training: event time of the last training. Alarms from before are acted on: detectors start anew there,
            so that what still holds is said again.
    """
    endpoint, route = status.endpoint, status.route
    seen = _look(workspace, endpoint.name)
    if seen is None or route is None:
        return Watched(watermark=None, traffic_until=None, labelled_until=None)
    stream, first, watermark = seen
    with workspace.database.reading() as connection:
        known = {one.monitor: one for one in states_of(connection, endpoint.name)}
    first = window_of(first, project.window).start
    traffic_from, labelled_from = (
        (known[monitor].watermark if monitor in known else None) or first for monitor in (TRAFFIC, LABELLED)
    )
    wait = maturity(project.data.label_delay if project.data else project.window, project.window)
    closed = list(islice(closed_windows(traffic_from, watermark, project.window), _MOST_WINDOWS))
    matured = list(islice(closed_windows(labelled_from, watermark - wait, project.window), _MOST_WINDOWS))
    # Labels that come late can only belong to windows that were judged.
    if closed or matured or (LABELLED in known and looks_back(workspace, known[LABELLED])):
        champion = subject_of(workspace, endpoint, route.route.champion.version_id)
        since = champion_since(routes)
        if closed:
            traffic = TrafficWatch(
                workspace, actor, project, endpoint, champion, stream, champion_since=since, last_training=last_training
            )
            for window in closed:
                traffic.judge(window)
        labelled = LabelledWatch(workspace, actor, project, endpoint, champion, stream, last_training=last_training)
        for window in matured:
            labelled.judge(window)
        labelled.look_back()
    return Watched(
        watermark=watermark,
        traffic_until=closed[-1].end if closed else traffic_from,
        labelled_until=matured[-1].end if matured else labelled_from,
        windows=len(closed) + len(matured),
    )


def champion_since(routes: list[RouteRecord]) -> datetime | None:
    """The event time from which the champion of the last route has been champion; None for the beginning, or not told."""
    since: datetime | None = None
    champion = routes[-1].route.champion.version_id if routes else ""
    for route in reversed(routes):
        if route.route.champion.version_id != champion:
            return since
        since = route.event_time
    return None


def watermark_of(workspace: Workspace, endpoint: str) -> datetime | None:
    """The endpoint's event time as it was last seen."""
    with workspace.database.reading() as connection:
        known = find_state(connection, endpoint, STREAM, "")
    return known.watermark if known else None


def _look(workspace: Workspace, endpoint: str) -> tuple[Stream, datetime, datetime] | None:
    """The stream with its oldest and newest event time; None when nothing was shipped yet."""
    stream = Stream(workspace, endpoint)
    if stream.version is None:
        return None
    with workspace.database.reading() as connection:
        known = find_state(connection, endpoint, STREAM, "")
    state = msgspec.json.decode(known.state, type=StreamState) if known else None
    before = known.watermark if known else None
    if state is not None and before is not None and state.version == stream.version:
        return stream, state.first, before
    span = stream.span(before)
    if span is None:
        return None if state is None or before is None else (stream, state.first, before)
    first, last = span
    if state is not None:
        first = state.first
    fresh = MonitorState(
        endpoint=endpoint,
        monitor=STREAM,
        version_id="",
        watermark=last,
        state=msgspec.json.encode(StreamState(version=stream.version, first=first)),
        updated_at=workspace.clock.now(),
    )
    with workspace.database.writing() as connection:
        save_state(connection, fresh)
    return stream, first, last
