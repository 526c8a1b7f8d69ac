"""Rows of monitors: states, results, alerts and the notices that carry them."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from kept.monitoring.alert import Alert, Notice
from kept.monitoring.result import MonitorState, WindowResult
from kept.store.rows import from_row, to_row
from kept.store.schema import alerts, monitor_states, notices, window_results
from kept.store.upsert import Upsert

_RESULT_KEY = [window_results.c[name] for name in ("endpoint", "version_id", "start", "monitor", "metric", "slice")]
_SAVE_STATE = Upsert(monitor_states, overwrite=["watermark", "state", "updated_at"])
_SAVE_RESULTS = Upsert(window_results, overwrite=["value", "low", "high", "rows", "holds"])


def find_state(connection: Connection, endpoint: str, monitor: str, version_id: str) -> MonitorState | None:
    """The state of a monitor, or None when it has not begun."""
    query = select(monitor_states).where(
        monitor_states.c.endpoint == endpoint,
        monitor_states.c.monitor == monitor,
        monitor_states.c.version_id == version_id,
    )
    row = connection.execute(query).mappings().first()
    return from_row(row, MonitorState) if row else None


def states_of(connection: Connection, endpoint: str) -> list[MonitorState]:
    """Every monitor's state of an endpoint."""
    query = select(monitor_states).where(monitor_states.c.endpoint == endpoint)
    return [from_row(row, MonitorState) for row in connection.execute(query).mappings()]


def save_state(connection: Connection, state: MonitorState) -> None:
    """Keeps a state in the place of the one before."""
    _SAVE_STATE.into(connection, [to_row(state)])


def save_results(connection: Connection, results: Iterable[WindowResult]) -> None:
    """Keeps results in the place of those with the same window, monitor, metric and slice."""
    _SAVE_RESULTS.into(connection, [to_row(result) for result in results])


def drop_results(connection: Connection, endpoint: str, version_id: str, monitor: str, start: datetime) -> None:
    """Removes one monitor's results of a window that is computed anew: a slice may have gone."""
    connection.execute(
        delete(window_results).where(
            window_results.c.endpoint == endpoint,
            window_results.c.version_id == version_id,
            window_results.c.monitor == monitor,
            window_results.c.start == start,
        )
    )


def results_of(
    connection: Connection,
    endpoint: str,
    *,
    monitor: str | None = None,
    metric: str | None = None,
    slice_name: str | None = None,
    version_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int,
) -> list[WindowResult]:
    """Results of an endpoint: the newest `limit` of them, oldest first."""
    query = select(window_results).where(window_results.c.endpoint == endpoint)
    for column, wanted in (("monitor", monitor), ("metric", metric), ("slice", slice_name), ("version_id", version_id)):
        if wanted is not None:
            query = query.where(window_results.c[column] == wanted)
    if since is not None:
        query = query.where(window_results.c.start >= since)
    if until is not None:
        query = query.where(window_results.c.start < until)
    query = query.order_by(window_results.c.start.desc(), *_RESULT_KEY[3:]).limit(limit)
    found = [from_row(row, WindowResult) for row in connection.execute(query).mappings()]
    return sorted(found, key=lambda one: one.start)


def insert_alert(connection: Connection, alert: Alert) -> None:
    """Adds an alert."""
    connection.execute(insert(alerts).values(**to_row(alert)))


def find_alert(connection: Connection, alert_id: str) -> Alert | None:
    """The alert with this id."""
    row = connection.execute(select(alerts).where(alerts.c.id == alert_id)).mappings().first()
    return from_row(row, Alert) if row else None


def alerts_of(
    connection: Connection,
    *,
    endpoint: str | None = None,
    project: str | None = None,
    kind: str | None = None,
    since: datetime | None = None,
    limit: int,
) -> list[Alert]:
    """Alerts, newest first; `since` is an event time, and the moment itself is left out."""
    query = select(alerts).order_by(alerts.c.at.desc(), alerts.c.id.desc()).limit(limit)
    for column, wanted in (("endpoint", endpoint), ("project", project), ("kind", kind)):
        if wanted is not None:
            query = query.where(alerts.c[column] == wanted)
    if since is not None:
        query = query.where(alerts.c.event_time > since)
    return [from_row(row, Alert) for row in connection.execute(query).mappings()]


def insert_notice(connection: Connection, notice: Notice) -> None:
    """Adds a notice to the outbox."""
    connection.execute(insert(notices).values(**to_row(notice)))


def due_notices(connection: Connection, now: datetime, limit: int) -> list[Notice]:
    """Notices whose next try is due, the longest waiting first."""
    query = select(notices).where(notices.c.next_at <= now).order_by(notices.c.next_at, notices.c.id).limit(limit)
    return [from_row(row, Notice) for row in connection.execute(query).mappings()]


def save_notice(connection: Connection, notice: Notice) -> None:
    """Keeps what came of a try."""
    connection.execute(update(notices).where(notices.c.id == notice.id).values(**to_row(notice)))


def notices_of(connection: Connection, alert_id: str) -> list[Notice]:
    """The notices of an alert."""
    query = select(notices).where(notices.c.alert_id == alert_id).order_by(notices.c.id)
    return [from_row(row, Notice) for row in connection.execute(query).mappings()]
