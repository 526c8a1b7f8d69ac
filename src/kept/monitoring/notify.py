"""The outbox of notices: delivered again and again until each receiver has taken them."""

import hashlib
import hmac
from collections.abc import Collection
from datetime import datetime, timedelta
from importlib import import_module

import msgspec

from kept.core.clock import format_time
from kept.core.digests import canonical_json
from kept.core.errors import Invalid, KeptError, Unavailable
from kept.core.retrying import wait_after
from kept.governance.workspace import Workspace
from kept.monitoring.alert import About, Alert, Notice
from kept.monitoring.incident import Incident
from kept.monitoring.mailing import mail
from kept.monitoring.receivers import OWNER, Receiver, place_of, receiver_at
from kept.monitoring.records import (
    claim_notice,
    find_incident,
    give_up_notices,
    notice_places,
    postpone_notices,
    save_notice,
)
from kept.monitoring.telling import owner_address
from kept.monitoring.wording import end_of, link_to, message_of
from kept.registry.webhook_posting import post

SIGNATURE_HEADER = "Kept-Signature"

# Beyond the time that an attempt may take: so much later it counts as lost.
_SPARE = timedelta(seconds=30)

_REMOVED_FOR = timedelta(days=1)
_REMOVED = "given up: the receiver is no longer in the settings"


def places_owed(workspace: Workspace, *, but: Collection[str], limit: int) -> list[str]:
    """The places of receivers, other than these, that something is to be carried to now."""
    with workspace.database.reading() as connection:
        targets = notice_places(connection, workspace.clock.now())
    owed = dict.fromkeys(place_of(one) for one in targets)
    return [one for one in owed if one not in but and receiver_at(workspace.settings, one) is not None][:limit]


def deliver_notice(workspace: Workspace, place: str) -> Notice | None:
    """Tries the oldest notice to a receiver that is due, and gives it as it stands then; None when none is due.

    A receiver that is away or answers with an error gets the same notice again after 1 s, 2 s, 4 s, ... and at last
    every hour; none is given up, and meanwhile its other notices wait, too. It may get one twice (its answer can be
    lost): the id is the same then. The address that is configured now is used, whatever it was when the alert was raised.
    """
    receiver = receiver_at(workspace.settings, place)
    if receiver is None:
        return None
    now = workspace.clock.now()
    until = now + timedelta(seconds=workspace.settings.alert_timeout_seconds) + _SPARE
    with workspace.database.reading() as connection:
        targets = [one for one in notice_places(connection, now) if place_of(one) == place]
    if not targets:
        return None
    with workspace.database.writing() as connection:
        claimed = claim_notice(connection, targets, now, until)
        incident = find_incident(connection, claimed[1].id) if claimed else None
        if claimed and receiver.address == OWNER:
            receiver = msgspec.structs.replace(receiver, address=owner_address(connection, claimed[1].project))
    if claimed is None:
        return None
    notice, alert = claimed
    error = None
    try:
        _carry(workspace, receiver, notice, alert, incident)
    except KeptError as fault:
        error = str(fault)
    done = _after_try(notice, place, error, workspace.clock.now())
    with workspace.database.writing() as connection:
        save_notice(connection, done)
        if done.next_at is not None:
            postpone_notices(connection, [*targets, place], done.next_at)
    return done


def give_up_removed(workspace: Workspace) -> int:
    """Gives up what receivers are owed that the settings have not named for a day, and gives the number.

    For a day, because a process may have been started without its settings by mistake.
    """
    now = workspace.clock.now()
    with workspace.database.reading() as connection:
        removed = [
            one
            for one in notice_places(connection, now - _REMOVED_FOR)
            if receiver_at(workspace.settings, place_of(one)) is None
        ]
    if not removed:
        return 0
    with workspace.database.writing() as connection:
        return give_up_notices(connection, removed, now - _REMOVED_FOR, _REMOVED)


def deliver(workspace: Workspace, *, limit: int = 20) -> int:
    """Carries what is due to every receiver, at most so many to each, and gives the number taken."""
    taken = 0
    for place in places_owed(workspace, but=(), limit=1_000):
        for _ in range(limit):
            notice = deliver_notice(workspace, place)
            if notice is None or notice.delivered_at is None:
                break
            taken += 1
    return taken


def event_of(
    alert: Alert, *, incident: Incident | None = None, link: str = "", escalation: str = "", about: About = "raised"
) -> bytes:
    """The alert as a CloudEvent 1.0 in structured JSON. An escalation of it, and its end, are events of their own."""
    data = msgspec.to_builtins(alert)
    name, kind, moment = alert.id, "alert", alert.at
    if link:
        data["link"] = link
    if incident is not None:
        data["incident"] = incident.id
        data["owner"] = incident.owner
        if about == "resolved" and incident.resolved_at is not None:
            name, kind, moment = f"{incident.id}:resolved", "resolved", incident.resolved_at
            data["resolved_by"] = incident.resolved_by
            data["resolved_at"] = format_time(incident.resolved_at)
            data["resolution"] = incident.resolution
    if escalation:
        data["escalation"] = escalation
    return canonical_json(
        {
            "specversion": "1.0",
            "id": f"{name}:{escalation}" if escalation else name,
            "source": f"/kept/endpoints/{alert.endpoint}",
            "type": f"kept.{kind}.{alert.kind}",
            "time": format_time(moment),
            "datacontenttype": "application/json",
            "data": data,
        }
    )


def sign(secret: str, moment: str, body: bytes) -> str:
    """`t=TIME,v1=HEX`: HMAC-SHA256 with the shared secret over the time, a full stop and the body.

    The time is signed too, so that a receiver can refuse an old message that somebody sends again.
    """
    code = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={code}"


def _carry(workspace: Workspace, receiver: Receiver, notice: Notice, alert: Alert, incident: Incident | None) -> None:
    """Returns when the receiver has taken it."""
    escalation = receiver.place if receiver.place.startswith("escalation:") else ""
    settings = workspace.settings
    if receiver.kind == "webhook":
        link = link_to(settings, alert)
        body = event_of(alert, incident=incident, link=link, escalation=escalation, about=notice.about)
        _post(workspace, receiver.address, body)
        return
    over = incident if notice.about == "resolved" else None
    message = end_of(settings, over) if over else message_of(settings, alert, escalated=bool(escalation))
    if receiver.kind == "email":
        mail(settings, workspace.clock, receiver.address, message, notice.id)
        return
    try:
        chatting = import_module("kept.monitoring.chatting")
    except ImportError as error:
        fix = "Install it: pip install 'kept[apprise]'"
        raise Invalid(f"Apprise is not there ({error})", where="alert_chat", fix=fix) from error
    chatting.chat(receiver.address, message, "resolved" if over else alert.severity)


def _post(workspace: Workspace, target: str, body: bytes) -> None:
    headers = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
    if secret := workspace.settings.webhook_secret:
        headers[SIGNATURE_HEADER] = sign(secret, format_time(workspace.clock.now()), body)
    seconds = workspace.settings.alert_timeout_seconds
    try:
        answer = post(target, body, headers, seconds=seconds, private=True)
    except ValueError as error:  # no URL at all
        raise Unavailable(f"it cannot be called ({error})", where="webhook_url") from error
    if not 200 <= answer.status < 300:
        raise Unavailable(f"the receiver answered {answer.status}")


def _after_try(notice: Notice, place: str, error: str | None, now: datetime) -> Notice:
    if error is None:
        return msgspec.structs.replace(notice, target=place, next_at=None, delivered_at=now, error=None)
    return msgspec.structs.replace(notice, target=place, next_at=now + wait_after(notice.attempts), error=error)
