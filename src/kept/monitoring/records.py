"""Rows of monitors: states, results, alerts and the notices that carry them, incidents and mutes."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, false, func, insert, or_, select, update

from kept.core.errors import Damaged
from kept.monitoring.alert import Alert, Notice
from kept.monitoring.incident import Incident, Mute
from kept.monitoring.result import Checkpoint, MonitorState, WindowResult
from kept.store.rows import from_row, to_row
from kept.store.schema import alerts, incidents, monitor_checkpoints, monitor_states, mutes, notices, window_results
from kept.store.upsert import Upsert

_RESULT_KEY = [window_results.c[name] for name in ("endpoint", "version_id", "start", "monitor", "metric", "slice")]
_SAVE_STATE = Upsert(monitor_states, overwrite=["watermark", "state", "updated_at"])
_SAVE_CHECKPOINT = Upsert(monitor_checkpoints, overwrite=["state"])
_SAVE_RESULTS = Upsert(window_results, overwrite=["value", "low", "high", "rows", "holds"])
_SAVE_INCIDENT = Upsert(incidents, overwrite=[column.name for column in incidents.c if not column.primary_key])
_SAVE_MUTE = Upsert(mutes, overwrite=["until", "ended_at"])


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


def states_by_endpoint(connection: Connection) -> dict[str, dict[str, MonitorState]]:
    """Every monitor's state of every endpoint, by endpoint and monitor."""
    found: dict[str, dict[str, MonitorState]] = {}
    for row in connection.execute(select(monitor_states)).mappings():
        one = from_row(row, MonitorState)
        found.setdefault(one.endpoint, {})[one.monitor] = one
    return found


def save_state(connection: Connection, state: MonitorState) -> None:
    """Keeps a state in the place of the one before."""
    _SAVE_STATE.into(connection, [to_row(state)])


def save_checkpoint(connection: Connection, one: Checkpoint, *, forget_before: datetime) -> None:
    """Keeps what a monitor remembered before a window, and forgets what it did before windows that began earlier than that."""
    _SAVE_CHECKPOINT.into(connection, [to_row(one)])
    where = (monitor_checkpoints.c.endpoint == one.endpoint, monitor_checkpoints.c.monitor == one.monitor)
    connection.execute(delete(monitor_checkpoints).where(*where, monitor_checkpoints.c.start < forget_before))


def checkpoints_of(connection: Connection, endpoint: str, monitor: str, since: datetime) -> list[Checkpoint]:
    """What a monitor remembered before each of the windows that begin then or later, oldest first."""
    where = (monitor_checkpoints.c.endpoint == endpoint, monitor_checkpoints.c.monitor == monitor)
    query = select(monitor_checkpoints).where(*where, monitor_checkpoints.c.start >= since)
    query = query.order_by(monitor_checkpoints.c.start)
    return [from_row(row, Checkpoint) for row in connection.execute(query).mappings()]


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


def drop_window(connection: Connection, endpoint: str, monitors: Iterable[str], start: datetime) -> None:
    """Removes what monitors have found in a window that is counted anew, of every version."""
    connection.execute(
        delete(window_results).where(
            window_results.c.endpoint == endpoint,
            window_results.c.monitor.in_(list(monitors)),
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


class Newest(msgspec.Struct, frozen=True, kw_only=True):
    """Of which results the newest of each metric and slice are wanted."""

    monitor: str
    metric: str | None = None
    version_id: str | None = None
    since: datetime


def newest_results(connection: Connection, endpoint: str, wanted: Iterable[Newest]) -> list[WindowResult]:
    """The newest result with a value of each monitor, metric and slice among those wanted, in one query."""
    kinds = [window_results.c[name] for name in ("monitor", "metric", "slice")]
    fits = [
        and_(
            window_results.c.monitor == one.monitor,
            window_results.c.start >= one.since,
            *([window_results.c.metric == one.metric] if one.metric is not None else []),
            *([window_results.c.version_id == one.version_id] if one.version_id is not None else []),
        )
        for one in wanted
    ]
    place = func.row_number().over(partition_by=kinds, order_by=window_results.c.start.desc()).label("place")
    query = select(window_results, place).where(
        window_results.c.endpoint == endpoint, window_results.c.value.is_not(None), or_(false(), *fits)
    )
    ranked = query.subquery()
    columns = [ranked.c[column.name] for column in window_results.c]
    newest = select(*columns).where(ranked.c.place == 1).order_by(*(ranked.c[column.name] for column in kinds))
    return [from_row(row, WindowResult) for row in connection.execute(newest).mappings()]


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


def save_notice(connection: Connection, notice: Notice) -> None:
    """Keeps what came of a try."""
    connection.execute(update(notices).where(notices.c.id == notice.id).values(**to_row(notice)))


def notices_of(connection: Connection, incident: Incident) -> list[Notice]:
    """The notices of an incident, however many alerts it has, oldest first."""
    query = select(notices).where(notices.c.alert_id.in_(select(alerts.c.id).where(*_within(incident))))
    return [from_row(row, Notice) for row in connection.execute(query.order_by(notices.c.id)).mappings()]


def notice_places(connection: Connection, now: datetime) -> list[str]:
    """The targets of notices whose next try is due, each once."""
    query = select(notices.c.target).where(notices.c.next_at <= now).group_by(notices.c.target)
    return list(connection.execute(query.order_by(notices.c.target)).scalars())


def claim_notice(
    connection: Connection, targets: Iterable[str], now: datetime, until: datetime
) -> tuple[Notice, Alert] | None:
    """Takes the oldest notice to one of these targets that is due, so that nobody else tries it until then."""
    query = select(notices).where(notices.c.target.in_(list(targets)), notices.c.next_at <= now)
    query = query.order_by(notices.c.id).limit(1).with_for_update(skip_locked=True)
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    notice = from_row({**row, "attempts": row["attempts"] + 1, "next_at": until}, Notice)
    save_notice(connection, notice)
    alert = find_alert(connection, notice.alert_id)
    if alert is None:
        raise Damaged(f"the alert {notice.alert_id} is gone", where="alerts", fix="Restore it from a backup")
    return notice, alert


def postpone_notices(connection: Connection, targets: Iterable[str], until: datetime) -> None:
    """Lets everything that is owed to these targets wait until then at least."""
    query = update(notices).where(notices.c.target.in_(list(targets)), notices.c.next_at < until)
    connection.execute(query.values(next_at=until))


def give_up_notices(connection: Connection, targets: Iterable[str], due_before: datetime, why: str) -> int:
    """Lets everything be that these targets have been owed since before then, and gives the number."""
    query = update(notices).where(notices.c.target.in_(list(targets)), notices.c.next_at < due_before)
    return connection.execute(query.values(next_at=None, error=why)).rowcount


def waiting_notices(connection: Connection) -> dict[str, int]:
    """How many notices are owed, by target."""
    query = (
        select(notices.c.target, func.count().label("owed"))
        .where(notices.c.next_at.is_not(None))
        .group_by(notices.c.target)
    )
    return {str(row.target): int(row.owed) for row in connection.execute(query)}


def save_incident(connection: Connection, incident: Incident) -> None:
    """Adds an incident, or keeps how it stands now."""
    _SAVE_INCIDENT.into(connection, [to_row(incident)])


def find_incident(connection: Connection, incident_id: str) -> Incident | None:
    """The incident with this id, or that an alert with this id belongs to."""
    row = connection.execute(select(incidents).where(incidents.c.id == incident_id)).mappings().first()
    if row is not None:
        return from_row(row, Incident)
    alert = find_alert(connection, incident_id)
    if alert is None:
        return None
    query = select(incidents).where(
        incidents.c.endpoint == alert.endpoint,
        incidents.c.kind == alert.kind,
        incidents.c.title == alert.title,
        incidents.c.id <= alert.id,
    )
    row = connection.execute(query.order_by(incidents.c.id.desc()).limit(1)).mappings().first()
    return from_row(row, Incident) if row else None


def standing_incident(connection: Connection, endpoint: str, kind: str, title: str) -> Incident | None:
    """The incident of this condition that is not resolved."""
    query = select(incidents).where(
        incidents.c.endpoint == endpoint,
        incidents.c.kind == kind,
        incidents.c.title == title,
        incidents.c.state != "resolved",
    )
    row = connection.execute(query.order_by(incidents.c.id.desc()).limit(1)).mappings().first()
    return from_row(row, Incident) if row else None


def incidents_of(
    connection: Connection,
    *,
    endpoint: str | None = None,
    project: str | None = None,
    kind: str | None = None,
    state: str | None = None,
    standing: bool = False,
    limit: int,
) -> list[Incident]:
    """Incidents, the one that was raised last first."""
    query = select(incidents).order_by(incidents.c.last_at.desc(), incidents.c.id.desc()).limit(limit)
    for column, wanted in (("endpoint", endpoint), ("project", project), ("kind", kind), ("state", state)):
        if wanted is not None:
            query = query.where(incidents.c[column] == wanted)
    if standing:
        query = query.where(incidents.c.state != "resolved")
    return [from_row(row, Incident) for row in connection.execute(query).mappings()]


def due_incidents(connection: Connection, now: datetime, limit: int) -> list[Incident]:
    """Open incidents of which somebody is to be told now, the longest waiting first."""
    query = select(incidents).where(incidents.c.state == "open", incidents.c.next_at <= now)
    query = query.order_by(incidents.c.next_at, incidents.c.id).limit(limit)
    return [from_row(row, Incident) for row in connection.execute(query).mappings()]


def hurry(connection: Connection, endpoint: str, now: datetime) -> None:
    """Lets open incidents that a mute has put off be looked at now: of which nobody was told yet, and whose next was to be."""
    ends = select(mutes.c.until).where(mutes.c.endpoint == endpoint)
    query = update(incidents).where(
        incidents.c.endpoint == endpoint,
        incidents.c.state == "open",
        incidents.c.next_at > now,
        incidents.c.next_at.in_(ends),
    )
    connection.execute(query.values(next_at=now))


def alerts_in(connection: Connection, incident: Incident, limit: int) -> list[Alert]:
    """The alerts of an incident, newest first."""
    query = select(alerts).where(*_within(incident))
    query = query.order_by(alerts.c.at.desc(), alerts.c.id.desc()).limit(limit)
    return [from_row(row, Alert) for row in connection.execute(query).mappings()]


def _within(incident: Incident) -> tuple[ColumnElement[bool], ...]:
    """What tells the alerts of an incident from others."""
    return (
        alerts.c.endpoint == incident.endpoint,
        alerts.c.kind == incident.kind,
        alerts.c.title == incident.title,
        # Ids tell the time, and the clock may have been set back since the first.
        alerts.c.id >= min(incident.id, incident.alert_id),
        alerts.c.id <= max(incident.id, incident.alert_id),
    )


def count_incidents(connection: Connection) -> list[tuple[str, str, str, str, int]]:
    """How many incidents are not resolved, by endpoint, kind, severity and state."""
    by = [incidents.c[name] for name in ("endpoint", "kind", "severity", "state")]
    query = select(*by, func.count().label("many")).where(incidents.c.state != "resolved").group_by(*by).order_by(*by)
    return [(one.endpoint, one.kind, one.severity, one.state, one.many) for one in connection.execute(query)]


def save_mute(connection: Connection, mute: Mute) -> None:
    """Adds a mute, or keeps how it stands now."""
    _SAVE_MUTE.into(connection, [to_row(mute)])


def find_mute(connection: Connection, mute_id: str) -> Mute | None:
    """The mute with this id."""
    row = connection.execute(select(mutes).where(mutes.c.id == mute_id)).mappings().first()
    return from_row(row, Mute) if row else None


def mutes_of(connection: Connection, endpoint: str | None, now: datetime) -> list[Mute]:
    """Mutes in force, of one endpoint or all, the one that ends first before the others."""
    query = select(mutes).where(mutes.c.until > now, mutes.c.ended_at.is_(None)).order_by(mutes.c.until, mutes.c.id)
    if endpoint is not None:
        query = query.where(mutes.c.endpoint == endpoint)
    return [from_row(row, Mute) for row in connection.execute(query).mappings()]
