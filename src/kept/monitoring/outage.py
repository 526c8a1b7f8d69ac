"""Outage of an endpoint: without answers no window closes, so it is detected by the clock."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from kept.core.clock import format_time
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.monitoring.alerts import RaiseAlert, raise_alert
from kept.monitoring.records import find_state, save_state
from kept.monitoring.result import MonitorState
from kept.monitoring.settling import settle_gone
from kept.monitoring.stream import Stream

STATE = "outage"
TITLE = "every request fails"
REFUSED = "every request is refused, since none fits the schema"

_FEWEST = 5
_SHORTEST = timedelta(seconds=30)


class OutageState(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen last."""

    errors: int
    """Version of the table of failed requests, up to which was looked."""
    answered: datetime | None = None
    """When the last request came that was answered; None where none ever was."""
    told: bool = False
    """Whether it was said that every request since then has failed."""
    refused: bool = False
    """Whether it was said that every request since then was refused."""


def watch_outage(
    workspace: Workspace, actor: Actor, project: str, stream: Stream, version_id: str | None
) -> RaiseAlert | None:
    """Alarms when for half a minute requests have failed by our fault and none was answered: once, until one is.

    The same where all were refused, since what is sent has another schema than the model takes, and none failed.
    """
    if stream.errors_version is None:
        return None
    with workspace.database.reading() as connection:
        known = find_state(connection, stream.endpoint, STATE, "")
    before = msgspec.json.decode(known.state, type=OutageState) if known else OutageState(errors=-1)
    same = before.errors == stream.errors_version
    if same and not before.told and not before.refused:
        return None
    answered = stream.last_answer()
    if same and before.answered == answered:
        return None
    lasts = before.answered == answered
    after, alert = _judge(stream, before, answered, project, version_id)
    now = workspace.clock.now()
    state = MonitorState(
        endpoint=stream.endpoint,
        monitor=STATE,
        version_id="",
        watermark=None,
        state=msgspec.json.encode(after),
        updated_at=now,
    )
    with workspace.database.writing() as connection:
        save_state(connection, state)
        if before.told and not lasts:
            settle_gone(connection, stream.endpoint, ("errors",), [TITLE], now)
        if before.refused and not lasts:
            settle_gone(connection, stream.endpoint, ("quality",), [REFUSED], now)
        if alert is not None:
            raise_alert(workspace.inside(connection), actor, alert)
    return alert


def _judge(
    stream: Stream, before: OutageState, answered: datetime | None, project: str, version_id: str | None
) -> tuple[OutageState, RaiseAlert | None]:
    """What is the case now, and what is to be said of it that was not said since the last answer."""
    lasts = before.answered == answered
    told, refused = lasts and before.told, lasts and before.refused
    alert = None
    if (found := _nothing_but(stream, answered, refused=False)) is not None:
        alert = None if told else _alert(project, stream.endpoint, version_id, found, refused=False)
        told = True
    elif not told and (found := _nothing_but(stream, answered, refused=True)) is not None:
        alert = None if refused else _alert(project, stream.endpoint, version_id, found, refused=True)
        refused = True
    errors = stream.errors_version or 0
    return OutageState(errors=errors, answered=answered, told=told, refused=refused), alert


def _nothing_but(stream: Stream, answered: datetime | None, *, refused: bool) -> dict[str, Any] | None:
    """The evidence, where requests have failed, or were refused, for long enough since the last that was answered."""
    count, first, last = stream.failing_since(answered, refused=refused)
    if first is None or last is None or count < _FEWEST or last - first < _SHORTEST:
        return None
    return {
        "refused" if refused else "failed": count,
        "first": format_time(first),
        "last": format_time(last),
        "last_answer": None if answered is None else format_time(answered),
    }


def _alert(
    project: str, endpoint: str, version_id: str | None, evidence: dict[str, Any], *, refused: bool
) -> RaiseAlert:
    return RaiseAlert(
        project=project,
        endpoint=endpoint,
        kind="quality" if refused else "errors",
        severity="warning" if refused else "critical",
        title=REFUSED if refused else TITLE,
        evidence=evidence,
        version_id=version_id,
    )
