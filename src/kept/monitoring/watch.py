"""Watching an endpoint: every window of event time is dealt with once, in order, and remembered in one transaction."""

from datetime import datetime
from itertools import islice

import msgspec

from kept.deployment.endpoint import EndpointStatus, RouteRecord
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.monitoring.labelled import LabelledWatch, looks_back
from kept.monitoring.labelled_state import STATE as LABELLED
from kept.monitoring.lateness import go_back
from kept.monitoring.outage import watch_outage
from kept.monitoring.plan import MonitoringPlan
from kept.monitoring.records import find_state, save_state, states_of
from kept.monitoring.result import MonitorState
from kept.monitoring.silence import watch_silence
from kept.monitoring.stream import Stream
from kept.monitoring.subject import champion_since, subject_of
from kept.monitoring.traffic import STATE as TRAFFIC
from kept.monitoring.traffic import TrafficWatch
from kept.monitoring.window import Window, closed_windows, maturity, window_of
from kept.plan.windows import Windows

STREAM = "stream"

# Windows dealt with in one go, so that what waits for the caller does not wait for long.
_MOST_WINDOWS = 40


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """How far the predictions of an endpoint have come."""

    version: int
    """Of the table of predictions, up to which was looked."""
    errors: int | None = None
    """Of the table of failed requests."""
    first: datetime
    """The oldest event time."""


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """How far an endpoint's monitors have come, in event time."""

    watermark: datetime | None
    """The newest event time of a shipped prediction: the endpoint's present."""
    first: datetime | None = None
    """The oldest event time."""
    traffic_until: datetime | None
    """End of the last window whose traffic was judged."""
    labelled_until: datetime | None
    """End of the last window whose labelled predictions were judged."""
    news: bool = False
    """Whether predictions or failed requests have come since the last time."""
    windows: int = 0
    """Windows that were judged in this go, for traffic or for labels."""


def watch(
    workspace: Workspace,
    actor: Actor,
    project: MonitoringPlan,
    status: EndpointStatus,
    routes: list[RouteRecord],
    *,
    acted_at: datetime | None,
) -> Watched:
    """Deals with everything that has come since the last time.

    Args:
        workspace: where.
        actor: in whose name alerts are raised.
        project: what its project declares: windows, budget, objectives and policies.
        status: the endpoint as it stands.
        routes: the routes it has had, oldest first.
        acted_at: event time of a training that came to its end. Alarms from before were acted on: detectors start
            anew, so that what still holds is said again. None while one is under way.
    """
    endpoint, route = status.endpoint, status.route
    stream = Stream(workspace, endpoint.name)
    watch_outage(workspace, actor, project.name, stream, route.route.champion.version_id if route else None)
    if route is not None:
        watch_silence(workspace, actor, project, stream, route.route.champion.version_id, routes[0].at)
    seen = _look(workspace, stream)
    if seen is None or route is None:
        return Watched(watermark=None, traffic_until=None, labelled_until=None)
    first, watermark, news = seen
    with workspace.database.reading() as connection:
        known = {one.monitor: one for one in states_of(connection, endpoint.name)}
    beginning = window_of(first, project.windows).start
    traffic_from, labelled_from = (
        (known[monitor].watermark if monitor in known else None) or beginning for monitor in (TRAFFIC, LABELLED)
    )
    champion = subject_of(workspace, route.route.champion.version_id)
    # What serving began in the middle of is no whole window: its hours are not those of a day.
    since = champion_since(routes) or first
    if TRAFFIC in known:
        closing = bool(_due(stream, traffic_from, watermark, project.windows))
        traffic_from = go_back(
            workspace,
            project,
            stream,
            known[TRAFFIC],
            version_id=champion.version_id,
            not_before=max(since, acted_at or since),
            closing=closing,
        )
    wait = maturity(project.label_delay, project.window)
    closed = _due(stream, traffic_from, watermark, project.windows)
    matured = _due(stream, labelled_from, watermark - wait, project.windows)
    # Labels that come late can only belong to windows that were judged.
    if closed or matured or looks_back(workspace, endpoint.name, known):
        labelled = LabelledWatch(workspace, actor, project, endpoint, champion, stream, acted_at=acted_at)
        traffic = TrafficWatch(
            workspace, actor, project, endpoint, champion, stream, champion_since=since, acted_at=acted_at
        )
        labelled.look_back()
        # In the order in which they fell due, so that looking late finds what looking all the time would have found.
        for _, of_labels, window in sorted(
            [(window.end + wait, 0, window) for window in matured] + [(window.end, 1, window) for window in closed]
        ):
            if of_labels == 0:
                labelled.judge(window)
            else:
                known_labels = labelled.until is not None and window.start < labelled.until
                traffic.judge(window, None if known_labels else labelled.memory)
    return Watched(
        watermark=watermark,
        first=first,
        traffic_until=closed[-1].end if closed else traffic_from,
        labelled_until=matured[-1].end if matured else labelled_from,
        news=news,
        windows=len(closed) + len(matured),
    )


def watermark_of(workspace: Workspace, endpoint: str) -> datetime | None:
    """The endpoint's event time as it was last seen."""
    with workspace.database.reading() as connection:
        known = find_state(connection, endpoint, STREAM, "")
    return known.watermark if known else None


def _due(stream: Stream, since: datetime, until: datetime, windows: Windows) -> list[Window]:
    """The next windows to deal with. Of a long stretch without any event only the first one is.

    One request that claims to be of 1970 must not make every day since then a window that is read, judged and stored.
    """
    first = list(islice(closed_windows(since, until, windows), 1))
    long = _MOST_WINDOWS * windows.length
    if first and until - since > long:
        following = stream.next_event(first[0].end)
        if following is not None and following - since > long:
            return first + list(
                islice(closed_windows(window_of(following, windows).start, until, windows), _MOST_WINDOWS)
            )
    return list(islice(closed_windows(since, until, windows), _MOST_WINDOWS))


def _look(workspace: Workspace, stream: Stream) -> tuple[datetime, datetime, bool] | None:
    """The oldest and newest event time, and whether anything is new; None when nothing was shipped yet."""
    if stream.version is None:
        return None
    with workspace.database.reading() as connection:
        known = find_state(connection, stream.endpoint, STREAM, "")
    state = msgspec.json.decode(known.state, type=StreamState) if known else None
    before = known.watermark if known else None
    if state and before and (state.version, state.errors) == (stream.version, stream.errors_version):
        return state.first, before, False
    span = stream.span(before)
    if span is None and (state is None or before is None):
        return None
    first = state.first if state else span[0] if span else stream.now
    last = span[1] if span else before or stream.now
    fresh = MonitorState(
        endpoint=stream.endpoint,
        monitor=STREAM,
        version_id="",
        watermark=last,
        state=msgspec.json.encode(StreamState(version=stream.version, errors=stream.errors_version, first=first)),
        updated_at=workspace.clock.now(),
    )
    with workspace.database.writing() as connection:
        save_state(connection, fresh)
    return first, last, True
