"""Operations on alerts: raising and listing them."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from kept.core.ids import new_id
from kept.core.listing import list_limit
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.monitoring.alert import Alert, Kind, Severity
from kept.monitoring.incident import SEVERITIES, Incident, columns_of
from kept.monitoring.records import alerts_of, insert_alert, save_incident, standing_incident
from kept.monitoring.telling import tell
from kept.plan.records import find_project


class RaiseAlert(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A condition that a person should know of."""

    project: str
    endpoint: str
    kind: Kind
    severity: Severity
    title: str
    evidence: dict[str, Any]
    version_id: str | None = None
    event_time: datetime | None = None


class ListAlerts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which alerts: the newest `limit` of an endpoint, a project or all."""

    endpoint: str | None = None
    project: str | None = None
    kind: Kind | None = None
    since: datetime | None = None
    """Only those whose event time is later."""
    limit: int = 50


@operation("monitoring.raise", needs=Permission.CONTRIBUTE, on="endpoint")
def raise_alert(workspace: Workspace, actor: Actor, request: RaiseAlert) -> Alert:
    """Stores an alert. The first of its condition opens an incident and owes people its notices; more of it are counted."""
    del actor
    now = workspace.clock.now()
    alert = Alert(
        id=new_id(),
        project=request.project,
        endpoint=request.endpoint,
        kind=request.kind,
        severity=request.severity,
        title=request.title,
        evidence=request.evidence,
        version_id=request.version_id,
        event_time=request.event_time,
        at=now,
    )
    with workspace.database.writing() as connection:
        insert_alert(connection, alert)
        standing = standing_incident(connection, alert.endpoint, alert.kind, alert.title)
        if standing is None:
            project = find_project(connection, alert.project)
            tell(workspace, connection, _opened(alert, project.owner if project else ""), now)
        else:
            _count(workspace, connection, standing, alert)
    return alert


def _opened(alert: Alert, owner: str) -> Incident:
    return Incident(
        id=alert.id,
        project=alert.project,
        endpoint=alert.endpoint,
        kind=alert.kind,
        severity=alert.severity,
        title=alert.title,
        columns=columns_of(alert),
        version_id=alert.version_id,
        owner=owner,
        first_at=alert.at,
        last_at=alert.at,
        last_event_time=alert.event_time,
        alert_id=alert.id,
        next_at=alert.at,
    )


def _count(workspace: Workspace, connection: Connection, incident: Incident, alert: Alert) -> None:
    """One more of the same. People are told again when it is graver than all before."""
    graver = SEVERITIES.index(alert.severity) > SEVERITIES.index(incident.severity)
    counted = msgspec.structs.replace(
        incident,
        severity=alert.severity if graver else incident.severity,
        columns=columns_of(alert),
        version_id=alert.version_id,
        alerts=incident.alerts + 1,
        last_at=alert.at,
        last_event_time=alert.event_time or incident.last_event_time,
        alert_id=alert.id,
    )
    if graver:
        tell(workspace, connection, msgspec.structs.replace(counted, state="open", level=0), alert.at)
    else:
        save_incident(connection, counted)


@operation("monitoring.alerts", needs=Permission.VIEW, audit=Audit.READ)
def list_alerts(workspace: Workspace, actor: Actor, request: ListAlerts) -> list[Alert]:
    """Alerts, newest first."""
    del actor
    with workspace.database.reading() as connection:
        return alerts_of(
            connection,
            endpoint=request.endpoint,
            project=request.project,
            kind=request.kind,
            since=request.since,
            limit=list_limit(request.limit, where="alerts"),
        )
