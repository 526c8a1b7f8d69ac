"""The text of an alert for mails and chats, with links to its evidence."""

from typing import Any

import msgspec

from kept.core.clock import format_time
from kept.monitoring.alert import Alert
from kept.monitoring.incident import Incident
from kept.settings.settings import Settings

_MOST_LINES = 12
_MOST_WORDS = 300
# Tables, which a mail would cut; causes tell the most of them.
ON_THE_PAGE = {"attribution", "columns", "slices"}
# Sentences before numbers, of which only so many lines are told.
_FIRST = ("reason", "to_decide", "causes", "caution")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What a person reads."""

    subject: str
    """One line."""
    text: str


def link_to(settings: Settings, alert: Alert | Incident) -> str:
    """The page of an alert or its incident: the evidence, and what the loop did about it."""
    base = settings.pages_url or f"http://{settings.host}:{settings.port}"
    return f"{base.rstrip('/')}/alerts/{alert.id}"


def message_of(settings: Settings, alert: Alert, *, escalated: bool) -> Message:
    """An alert as a subject and a text; the subject of an escalation says that nobody has answered."""
    again = "not acknowledged: " if escalated else ""
    subject = _line(f"[{alert.severity}] {alert.endpoint}: {again}{alert.title}")
    facts = [
        f"{name.replace('_', ' ')}: {_shown(value)}"
        for name, value in sorted(alert.evidence.items(), key=lambda one: one[0] not in _FIRST)
        if name not in ON_THE_PAGE
    ]
    lines = [
        f"{alert.title[:1].upper()}{alert.title[1:]}.",
        "",
        f"Endpoint {alert.endpoint}, project {alert.project}.",
        f"Event time {format_time(alert.event_time)}." if alert.event_time else f"At {format_time(alert.at)}.",
        "",
        *facts[:_MOST_LINES],
        "",
        f"Evidence, and what was done: {link_to(settings, alert)}",
        f"Answer for it: kept alerts ack {alert.id}",
    ]
    return Message(subject=subject, text="\n".join(lines))


def end_of(settings: Settings, incident: Incident) -> Message:
    """The end of an incident as a subject and a text."""
    lines = [
        f"Over: {incident.title}.",
        "",
        f"Endpoint {incident.endpoint}, project {incident.project}.",
        f"It was raised {incident.alerts} time{'' if incident.alerts == 1 else 's'}, first at {format_time(incident.first_at)}.",
    ]
    if incident.resolved_at is not None:
        said = _line(incident.resolution)
        lines.append(f"Resolved at {format_time(incident.resolved_at)} by {incident.resolved_by}: {said}.")
    lines += ["", f"Evidence, and what was done: {link_to(settings, incident)}"]
    return Message(subject=_line(f"[resolved] {incident.endpoint}: {incident.title}"), text="\n".join(lines))


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return _line("; ".join(value))
    return _line(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def _line(text: str) -> str:
    """One line of bounded length: a value that somebody sent may hold anything, line breaks too."""
    flat = " ".join(text.split())
    return flat if len(flat) <= _MOST_WORDS else f"{flat[: _MOST_WORDS - 1]}…"
