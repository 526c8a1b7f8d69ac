"""Operations on incidents: look at them, acknowledge, mute, resolve."""

from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection

from kept.core.clock import as_utc
from kept.core.durations import duration
from kept.core.errors import Conflict, Invalid, NotFound
from kept.core.ids import new_id
from kept.core.listing import list_limit
from kept.deployment.catalog import the_endpoint
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.monitoring.alert import Kind
from kept.monitoring.incident import Incident, IncidentDetail, Mute, State, muted_until
from kept.monitoring.records import (
    alerts_in,
    find_incident,
    find_mute,
    hurry,
    incidents_of,
    mutes_of,
    notices_of,
    save_incident,
    save_mute,
)
from kept.monitoring.telling import tell_end

_ALERTS_SHOWN = 100
_LONGEST_MUTE = timedelta(days=366)


class ListIncidents(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which incidents: the newest `limit` of an endpoint, a project or all."""

    endpoint: str | None = None
    project: str | None = None
    kind: Kind | None = None
    state: State | None = None
    standing: bool = False
    """Only those that are not resolved."""
    limit: int = 50


class ShowIncident(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One incident, by its own id or that of one of its alerts."""

    incident: str


class Acknowledge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person answers for an incident: nobody else is told of it."""

    incident: str
    note: str = ""
    owner: str | None = None
    """Who deals with it; None for whoever acknowledges."""


class Resolve(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An incident is over. The same condition opens another one when it is raised again."""

    incident: str
    reason: str


class MuteAlerts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nobody is told of what fits, until then."""

    endpoint: str
    reason: str
    until: datetime | None = None
    """A moment; or give `length`."""
    length: str | None = None
    """So long from now on, for example 8h."""
    kind: Kind | None = None
    column: str | None = None


class Unmute(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ends a mute before its time."""

    mute: str


class ListMutes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Mutes in force, of one endpoint or all."""

    endpoint: str | None = None


@operation("monitoring.incidents", needs=Permission.VIEW, audit=Audit.READ)
def list_incidents(workspace: Workspace, actor: Actor, request: ListIncidents) -> list[Incident]:
    """Incidents, the one that was raised last first."""
    del actor
    with workspace.database.reading() as connection:
        return incidents_of(
            connection,
            endpoint=request.endpoint,
            project=request.project,
            kind=request.kind,
            state=request.state,
            standing=request.standing,
            limit=list_limit(request.limit, where="incidents"),
        )


@operation("monitoring.incident", needs=Permission.VIEW, audit=Audit.READ)
def show_incident(workspace: Workspace, actor: Actor, request: ShowIncident) -> IncidentDetail:
    """An incident with the evidence of its alerts, and who was told of it."""
    del actor
    now = workspace.clock.now()
    with workspace.database.reading() as connection:
        incident = the_incident(connection, request.incident)
        alerts = alerts_in(connection, incident, _ALERTS_SHOWN)
        notices = notices_of(connection, incident)
        mutes = mutes_of(connection, incident.endpoint, now)
    quiet = None if incident.state == "resolved" else muted_until(incident, mutes, now)
    return IncidentDetail(incident=incident, alerts=tuple(alerts), notices=tuple(notices), muted_until=quiet)


@operation("monitoring.acknowledge", needs=Permission.CONTRIBUTE, on="incident")
def acknowledge(workspace: Workspace, actor: Actor, request: Acknowledge) -> Incident:
    """Takes an incident over: nobody else is told of it, however often it is raised, unless it grows graver."""
    with workspace.database.writing() as connection:
        incident = _standing(connection, request.incident)
        taken = msgspec.structs.replace(
            incident,
            state="acknowledged",
            owner=request.owner or actor.name,
            next_at=None,
            acknowledged_by=actor.name,
            acknowledged_at=workspace.clock.now(),
            note=request.note or incident.note,
        )
        save_incident(connection, taken)
    return taken


@operation("monitoring.resolve", needs=Permission.CONTRIBUTE, on="incident")
def resolve(workspace: Workspace, actor: Actor, request: Resolve) -> Incident:
    """Ends an incident, and tells whoever was told of it.

    What it was raised for no longer sets off a training, unless it is raised again.
    """
    if not request.reason.strip():
        raise Invalid("an end needs a reason", where=request.incident, fix="Say what was done, or why nothing need be")
    with workspace.database.writing() as connection:
        incident = _standing(connection, request.incident)
        return end_incident(connection, incident, actor.name, request.reason, workspace.clock.now())


@operation("monitoring.mute", needs=Permission.CONTRIBUTE, on="endpoint")
def mute(workspace: Workspace, actor: Actor, request: MuteAlerts) -> Mute:
    """Keeps people from being told of an endpoint's alerts, of one kind or column or all, until a moment.

    Alerts are raised, kept and acted on as before; what is still open then is told when the mute ends.
    """
    now = workspace.clock.now()
    if not request.reason.strip():
        raise Invalid("a mute needs a reason", where=request.endpoint, fix="Say why nobody needs to be told")
    if (request.until is None) == (request.length is None):
        raise Invalid("a mute has one end", where=request.endpoint, fix="Give until or length")
    given = request.until and as_utc(request.until, where="until")
    until = given or now + duration(request.length or "", where="length")
    if not now < until <= now + _LONGEST_MUTE:
        raise Invalid(f"it cannot be muted until {until:%Y-%m-%d %H:%MZ}", fix="Name a moment within the next year")
    made = Mute(
        id=new_id(),
        endpoint=request.endpoint,
        kind=request.kind,
        column=request.column,
        until=until,
        reason=request.reason,
        created_by=actor.name,
        created_at=now,
    )
    with workspace.database.writing() as connection:
        if not incidents_of(connection, endpoint=request.endpoint, limit=1):
            # A name that nobody has would keep nothing quiet.
            the_endpoint(connection, request.endpoint)
        save_mute(connection, made)
    return made


@operation("monitoring.unmute", needs=Permission.CONTRIBUTE, on="mute")
def unmute(workspace: Workspace, actor: Actor, request: Unmute) -> Mute:
    """Ends a mute now: what it kept quiet and is still open is told."""
    del actor
    now = workspace.clock.now()
    with workspace.database.writing() as connection:
        found = find_mute(connection, request.mute)
        if found is None:
            raise NotFound("there is no such mute", where=request.mute, fix="See kept alerts list")
        if found.ended_at is not None or found.until <= now:
            raise Conflict("it has ended already", where=request.mute)
        ended = msgspec.structs.replace(found, ended_at=now)
        save_mute(connection, ended)
        hurry(connection, found.endpoint, now)
    return ended


@operation("monitoring.mutes", needs=Permission.VIEW, audit=Audit.READ)
def list_mutes(workspace: Workspace, actor: Actor, request: ListMutes) -> list[Mute]:
    """Mutes in force, the one that ends first before the others."""
    del actor
    with workspace.database.reading() as connection:
        return mutes_of(connection, request.endpoint, workspace.clock.now())


def the_incident(connection: Connection, incident_id: str) -> Incident:
    """The incident with this id, or that an alert with this id belongs to; `NotFound` when there is none."""
    found = find_incident(connection, incident_id)
    if found is None:
        raise NotFound("there is no such alert", where=incident_id, fix="See kept alerts list")
    return found


def end_incident(connection: Connection, incident: Incident, by: str, reason: str, now: datetime) -> Incident:
    """Keeps an incident as resolved, and owes whoever was told of it, or is about to be, the news of its end."""
    ended = msgspec.structs.replace(
        incident, state="resolved", next_at=None, resolved_by=by, resolved_at=now, resolution=reason
    )
    save_incident(connection, ended)
    tell_end(connection, ended, now)
    return ended


def _standing(connection: Connection, incident_id: str) -> Incident:
    incident = the_incident(connection, incident_id)
    if incident.state == "resolved":
        raise Conflict(f"it was resolved already by {incident.resolved_by}", where=incident_id)
    return incident
