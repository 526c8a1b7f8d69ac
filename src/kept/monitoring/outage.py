"""An endpoint that answers nothing: without answers no window closes, so it is told by the clock."""

from datetime import datetime, timedelta

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


def watch_outage(
    workspace: Workspace, actor: Actor, project: str, stream: Stream, version_id: str | None
) -> RaiseAlert | None:
    """Alarms when for half a minute requests have failed by our fault and none was answered: once, until one is."""
    if stream.errors_version is None:
        return None
    with workspace.database.reading() as connection:
        known = find_state(connection, stream.endpoint, STATE, "")
    before = msgspec.json.decode(known.state, type=OutageState) if known else None
    if before is not None and before.errors == stream.errors_version and not before.told:
        return None
    answered = stream.last_answer()
    if before is not None and before.errors == stream.errors_version and before.answered == answered:
        return None
    count, first, last = stream.failing_since(answered)
    fails = first is not None and last is not None and count >= _FEWEST and last - first >= _SHORTEST
    told = before is not None and before.told and before.answered == answered
    alert = None
    if fails and not told and first is not None and last is not None:
        alert = RaiseAlert(
            project=project,
            endpoint=stream.endpoint,
            kind="errors",
            severity="critical",
            title=TITLE,
            evidence={
                "failed": count,
                "first": format_time(first),
                "last": format_time(last),
                "last_answer": None if answered is None else format_time(answered),
            },
            version_id=version_id,
        )
    state = MonitorState(
        endpoint=stream.endpoint,
        monitor=STATE,
        version_id="",
        watermark=None,
        state=msgspec.json.encode(
            OutageState(errors=stream.errors_version, answered=answered, told=told or alert is not None)
        ),
        updated_at=workspace.clock.now(),
    )
    with workspace.database.writing() as connection:
        save_state(connection, state)
        if before is not None and before.told and before.answered != answered:
            settle_gone(connection, stream.endpoint, ("errors",), [TITLE], workspace.clock.now())
        if alert is not None:
            raise_alert(workspace.inside(connection), actor, alert)
    return alert
