"""Telling people of incidents: at once, or when a mute ends; the next ones when nobody has acknowledged; and when it is over."""

from datetime import datetime

import msgspec
from sqlalchemy import Connection

from kept.core.ids import new_id
from kept.governance.workspace import Workspace
from kept.monitoring.alert import Notice
from kept.monitoring.incident import Incident, muted_until
from kept.monitoring.receivers import OWNER, escalates_after, groups, place_of
from kept.monitoring.records import due_incidents, insert_notice, mutes_of, notices_of, save_incident
from kept.plan.records import find_project

_AT_ONCE = 100


def tell(workspace: Workspace, connection: Connection, incident: Incident, now: datetime) -> Incident:
    """Owes the next group its notices and says when the one after it is due; keeps the incident as it stands then.

    Of what is `info` nobody is told twice. A mute puts everything off until its end.
    """
    until = muted_until(incident, mutes_of(connection, incident.endpoint, now), now)
    if until is not None:
        told = msgspec.structs.replace(incident, next_at=until)
        save_incident(connection, told)
        return told
    known = groups(workspace.settings)
    for receiver in known[incident.level] if incident.level < len(known) else ():
        if receiver.address != OWNER or owner_address(connection, incident.project):
            notice = Notice(id=new_id(), alert_id=incident.alert_id, target=receiver.place, next_at=now)
            insert_notice(connection, notice)
    level = incident.level + 1
    more = level < len(known) and incident.severity != "info"
    after = now + escalates_after(workspace.settings) if more else None
    told = msgspec.structs.replace(incident, level=level, next_at=after)
    save_incident(connection, told)
    return told


def tell_end(connection: Connection, incident: Incident, now: datetime) -> None:
    """Owes each receiver that a notice of the incident went to, or waits for, one more: that it is over.

    A mute does not keep it back: whoever was told that something is wrong is told that it no longer is. It never
    overtakes the news of the beginning, which a receiver that is away may still be owed.
    """
    known: dict[str, datetime] = {}
    for one in notices_of(connection, incident):
        place = place_of(one.target)
        known[place] = max(known.get(place, now), one.next_at or now)
    for place, next_at in known.items():
        over = Notice(id=new_id(), alert_id=incident.alert_id, about="resolved", target=place, next_at=next_at)
        insert_notice(connection, over)


def tell_due(workspace: Workspace) -> int:
    """Tells of incidents whose mute has ended or that nobody has acknowledged in time; gives their number."""
    now = workspace.clock.now()
    with workspace.database.reading() as connection:
        if not due_incidents(connection, now, 1):
            return 0
    with workspace.database.writing() as connection:
        due = due_incidents(connection, now, _AT_ONCE)
        for one in due:
            tell(workspace, connection, one, now)
    return len(due)


def owner_address(connection: Connection, project: str) -> str:
    """The address of a project's owner; empty where the owner is a team's name, or there is no project."""
    record = find_project(connection, project)
    return record.owner if record is not None and "@" in record.owner else ""
