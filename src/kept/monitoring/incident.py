"""An incident: one condition that people deal with, however often it is raised; and mutes, which keep it quiet."""

from datetime import datetime
from typing import Literal

import msgspec

from kept.monitoring.alert import Alert, Kind, Notice, Severity

State = Literal["open", "acknowledged", "resolved"]

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Every alert of the same endpoint, kind and title from its first until somebody, or Kept, resolves it."""

    id: str
    """That of its first alert."""
    project: str
    endpoint: str
    kind: Kind
    severity: Severity
    """The highest of its alerts."""
    title: str
    columns: tuple[str, ...] = ()
    """The columns that the newest alert is about; none where it is about none alone."""
    version_id: str | None
    owner: str
    """Who deals with it: the project's owner, until somebody takes it over."""
    state: State = "open"
    alerts: int = 1
    """How often it was raised."""
    first_at: datetime
    last_at: datetime
    last_event_time: datetime | None
    alert_id: str
    """The newest alert."""
    level: int = 0
    """How many groups of receivers were told: 0 for nobody yet, 1 for the first, then one for each escalation."""
    next_at: datetime | None
    """When the next group is told, unless it is acknowledged by then; None when nobody is left."""
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    note: str = ""
    resolved_by: str | None = None
    resolved_at: datetime | None = None
    resolution: str = ""


class Mute(msgspec.Struct, frozen=True, kw_only=True):
    """Keeps people from being told of something for a time. It is still raised, kept, shown, and acted on."""

    id: str
    endpoint: str
    kind: Kind | None
    """None for every kind."""
    column: str | None
    """None whatever the columns."""
    until: datetime
    reason: str
    created_by: str
    created_at: datetime
    ended_at: datetime | None = None
    """When it was taken away before its time."""


class IncidentDetail(msgspec.Struct, frozen=True, kw_only=True):
    """An incident with its evidence, and who was told of it."""

    incident: Incident
    alerts: tuple[Alert, ...]
    """Its alerts, newest first."""
    notices: tuple[Notice, ...]
    """What was sent and what is still owed, oldest first."""
    muted_until: datetime | None
    """Until when nobody is told of it; None when it is not muted."""


def columns_of(alert: Alert) -> tuple[str, ...]:
    """The columns that an alert's evidence names: of a rule the one it is about, of drift all that are listed."""
    column = alert.evidence.get("column")
    if isinstance(column, str) and column:
        return (column,)
    listed = alert.evidence.get("columns")
    if not isinstance(listed, list):
        return ()
    found = [one for one in listed if isinstance(one, dict) and one.get("listed")]
    return tuple(str(one["name"]) for one in found if "name" in one)


def muted_until(incident: Incident, mutes: list[Mute], now: datetime) -> datetime | None:
    """Until when an incident is kept quiet by mutes of its endpoint; None when it is not.

    Mutes of columns keep it quiet when there is one for each of its columns: what is not known yet is told.
    """
    ends: dict[str | None, datetime] = {}
    for one in mutes:
        if one.endpoint == incident.endpoint and one.kind in {None, incident.kind} and one.until > now:
            ends[one.column] = max(one.until, ends.get(one.column, one.until))
    whole = ends.get(None)
    if not incident.columns or not all(column in ends for column in incident.columns):
        return whole
    by_column = min(ends[column] for column in incident.columns)
    return by_column if whole is None else max(whole, by_column)
