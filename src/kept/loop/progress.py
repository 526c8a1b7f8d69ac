"""The loop's progress with an endpoint: noted last, so that what it says is settled."""

from datetime import datetime

import msgspec

from kept.governance.workspace import Workspace
from kept.monitoring.records import find_state, save_state
from kept.monitoring.result import MonitorState
from kept.monitoring.watch import Watched

_LOOP = "loop"


def note_progress(workspace: Workspace, endpoint: str, watched: Watched) -> None:
    """Notes that everything up to the endpoint's present was watched, and that what followed from it was decided."""
    if watched.watermark is None:
        return
    kept = msgspec.structs.replace(watched, news=False, windows=0)
    before = read_progress(workspace, endpoint)
    if before == kept:
        return
    state = MonitorState(
        endpoint=endpoint,
        monitor=_LOOP,
        version_id="",
        watermark=watched.watermark,
        state=msgspec.json.encode(kept),
        updated_at=workspace.clock.now(),
    )
    with workspace.database.writing() as connection:
        save_state(connection, state)


def read_progress(workspace: Workspace, endpoint: str) -> Watched:
    """What was noted last; nothing where nothing was shipped yet."""
    with workspace.database.reading() as connection:
        known = find_state(connection, endpoint, _LOOP, "")
    if known is None:
        return Watched(watermark=None, traffic_until=None, labelled_until=None)
    return msgspec.json.decode(known.state, type=Watched)


def decided_until(workspace: Workspace, endpoint: str) -> datetime | None:
    """The event time up to which the loop has watched and decided."""
    return read_progress(workspace, endpoint).watermark
