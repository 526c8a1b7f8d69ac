"""An alert: something that a person should know about an endpoint, with the evidence."""

from datetime import datetime
from typing import Any, Literal

import msgspec

Kind = Literal[
    "drift",
    "decay",
    "objective",
    "quality",
    "errors",
    "rejected",
    "failed",
    "rolled_back",
    "held",
    "silence",
    "skew",
    "other",
]
Severity = Literal["info", "warning", "critical"]
About = Literal["raised", "resolved"]


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as it was raised."""

    id: str
    project: str
    endpoint: str
    kind: Kind
    severity: Severity
    title: str
    """The condition, as a sentence; the same condition has the same title."""
    evidence: dict[str, Any]
    version_id: str | None
    event_time: datetime | None
    """The event time at which the condition was known to hold: the end of the window that showed it."""
    at: datetime


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """An alert, or the end of its incident, on its way to a receiver. It stays until the receiver has taken it, or is there no more."""

    id: str
    alert_id: str
    about: About = "raised"
    target: str
    """The receiver's place in the settings: `webhook`, `email:1`, `chat:1`, `escalation:1`."""
    attempts: int = 0
    next_at: datetime | None
    """When it is tried next; None once it is delivered, or given up because its receiver was taken out of the settings."""
    delivered_at: datetime | None = None
    error: str | None = None
