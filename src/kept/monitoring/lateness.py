"""Rows that come behind their window's count: the monitors of traffic go back to before it, and on from there with them.

How late they may come is declared (`project.monitor(allowed_lateness=...)`). What comes later still is counted, and shown as too late.
"""

from datetime import UTC, datetime, timedelta

import msgspec
from sqlalchemy import Connection

from kept.governance.workspace import Workspace
from kept.measures.arrays import decode, encode
from kept.monitoring.performance import Measured
from kept.monitoring.plan import MonitoringPlan
from kept.monitoring.records import alerts_of, checkpoints_of, find_state, results_of, save_results, save_state
from kept.monitoring.recount import TOO_LATE, Recount, RecountedWindow
from kept.monitoring.result import Checkpoint, MonitorState, WindowResult
from kept.monitoring.stream import Stream
from kept.monitoring.traffic import SERVICE, STATE, TrafficState
from kept.monitoring.window import Window

_LATE = "late"
_EVER = datetime.min.replace(tzinfo=UTC)
# Behind the last window nothing closes that would bring a look.
_LOOK_EVERY = timedelta(minutes=5)
_MOST = 1_000


class LateState(msgspec.Struct, frozen=True, kw_only=True):
    """How far the log was looked through for rows that came late."""

    version: int
    """Of the table of predictions."""
    looked_at: datetime
    """In processing time."""


def go_back(
    workspace: Workspace,
    plan: MonitoringPlan,
    stream: Stream,
    known: MonitorState,
    *,
    version_id: str,
    not_before: datetime | None,
    closing: bool,
) -> datetime:
    """Looks for rows that came late, and sets the monitors of traffic back to before the first window that has some.

    Kept in one transaction: whoever judges goes on from there, and finds the same as often as it is tried.

    Args:
        workspace: where.
        plan: how late they may be.
        stream: the endpoint's predictions.
        known: the monitors' state.
        version_id: the champion, under whose name windows say that rows were too late for them.
        not_before: windows that begin earlier were judged for another champion, or were acted on: they stay as they are.
        closing: whether a window is about to be judged, so that there is a time to look.

    Returns:
        The end of the last window that counts as judged.
    """
    until = known.watermark
    if until is None or stream.version is None:
        return until or stream.now
    with workspace.database.reading() as connection:
        looked = find_state(connection, stream.endpoint, _LATE, "")
    before = msgspec.json.decode(looked.state, type=LateState) if looked else None
    if before is not None and (
        stream.version == before.version or not (closing or abs(stream.now - before.looked_at) >= _LOOK_EVERY)
    ):
        return until
    past = Window(start=_EVER, end=until)
    # Before the first look, what came since the last window was judged.
    grown = stream.grown_since(before.looked_at if before else known.updated_at, past, plan.windows, shadows=False)
    with workspace.database.reading() as connection:
        counted = {window: _judged(connection, stream.endpoint, window) for window in grown}
        since = max(until - plan.lateness - plan.window, not_before or _EVER)
        remembered = checkpoints_of(connection, stream.endpoint, STATE, since)
    late = {window: rows for window, rows in grown.items() if rows > counted[window]}
    places = {one.start: place for place, one in enumerate(remembered)}
    again = {window for window in late if window.start in places and window.end + plan.lateness >= until}
    seen = LateState(version=stream.version, looked_at=stream.now)
    with workspace.database.writing() as connection:
        save_results(
            connection,
            [_too_late(stream.endpoint, version_id, one, late[one] - counted[one]) for one in late.keys() - again],
        )
        save_state(connection, _state(stream.endpoint, _LATE, None, msgspec.json.encode(seen), stream.now))
        if again:
            first = min(again).start
            behind = remembered[places[first] :]
            state = _before(connection, stream.endpoint, known, behind, {one.start: late[one] for one in again})
            save_state(connection, _state(stream.endpoint, STATE, first, encode(state), stream.now))
            return first
    return until


def _judged(connection: Connection, endpoint: str, window: Window) -> int:
    """How many rows of a window its monitors know."""
    known = results_of(
        connection, endpoint, monitor=SERVICE, metric="rows", since=window.start, until=window.end, limit=_MOST
    )
    return sum(one.rows for one in known)


def _too_late(endpoint: str, version_id: str, window: Window, rows: int) -> WindowResult:
    return Measured(metric=TOO_LATE, value=float(rows), rows=rows).of(endpoint, version_id, window.start, SERVICE)


def _before(
    connection: Connection, endpoint: str, known: MonitorState, behind: list[Checkpoint], late: dict[datetime, int]
) -> TrafficState:
    """The state before the first of some windows, and what is to be known when they are counted again.

    Args:
        connection: to what was told.
        endpoint: whose.
        known: the state behind all of them.
        behind: the state before each of them.
        late: the rows that each of them is to be counted again for.
    """
    now, states = decode(known.state, TrafficState), [decode(one.state, TrafficState) for one in behind]
    told = alerts_of(connection, endpoint=endpoint, since=behind[0].start, limit=_MOST)
    stood = (*now.standing, *now.alarms)
    recount = Recount(
        until=known.watermark or behind[0].start,
        told=tuple(dict.fromkeys((*stood, *(one.title for one in told)))),
        stood=stood,
        windows=tuple(
            RecountedWindow(start=one.start, rows=late.get(one.start, 0), failures_until=after.failures_until)
            for one, after in zip(behind, [*states[1:], now], strict=True)
        ),
    )
    return msgspec.structs.replace(states[0], recount=recount.also(now.recount))


def _state(endpoint: str, monitor: str, watermark: datetime | None, state: bytes, now: datetime) -> MonitorState:
    return MonitorState(
        endpoint=endpoint, monitor=monitor, version_id="", watermark=watermark, state=state, updated_at=now
    )
