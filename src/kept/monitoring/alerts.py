"""What is done with alerts: raising and listing them."""

from datetime import datetime
from typing import Any

import msgspec

from kept.core.ids import new_id
from kept.core.listing import list_limit
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.monitoring.alert import Alert, Kind, Notice, Severity
from kept.monitoring.records import alerts_of, insert_alert, insert_notice


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
    """Stores an alert, and with it the notice that carries it to the webhook, if one is configured."""
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
        if target := workspace.settings.webhook_url:
            insert_notice(connection, Notice(id=new_id(), alert_id=alert.id, target=target, next_at=now))
    return alert


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
