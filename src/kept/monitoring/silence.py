"""Missing traffic: no request, or no label, for longer than declared. By the clock, since event time stands still."""

from datetime import datetime, timedelta

import msgspec

from kept.core.clock import format_time
from kept.core.durations import format_duration
from kept.data import labels as ledger
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.monitoring.alert import Severity
from kept.monitoring.alerts import RaiseAlert, raise_alert
from kept.monitoring.plan import MonitoringPlan
from kept.monitoring.records import find_state, save_state
from kept.monitoring.result import MonitorState
from kept.monitoring.settling import settle_gone
from kept.monitoring.stream import Stream

STATE = "silence"
NO_REQUESTS = "no requests have come"
NO_LABELS = "no labels have come"

_SEVERITIES: dict[str, Severity] = {NO_REQUESTS: "critical", NO_LABELS: "warning"}


class SilenceState(msgspec.Struct, frozen=True, kw_only=True):
    """What was heard last, and up to which versions of the tables was listened."""

    answers: int | None = None
    failures: int | None = None
    labels: int | None = None
    request_at: datetime | None = None
    """When the newest request came, answered or not."""
    answer_at: datetime | None = None
    """When the newest request that was answered came."""
    label_at: datetime | None = None
    """When the newest label came."""
    waiting_since: datetime | None = None
    """When the first request came, after that, whose answer waits for a label."""
    told: tuple[str, ...] = ()
    """The silences that were told and still last."""


def watch_silence(
    workspace: Workspace, actor: Actor, plan: MonitoringPlan, stream: Stream, version_id: str, since: datetime
) -> list[RaiseAlert]:
    """Alarms once when nothing was heard for longer than declared, and ends the alarm when something is.

    Args:
        workspace: where.
        actor: in whose name it alarms.
        plan: how long requests and labels may stay away.
        stream: the endpoint's predictions.
        version_id: what serves.
        since: when the endpoint began to serve: silence before that is none.
    """
    if plan.silent_after is None and plan.unlabelled_after is None:
        return []
    with workspace.database.reading() as connection:
        known = find_state(connection, stream.endpoint, STATE, "")
    before = msgspec.json.decode(known.state, type=SilenceState) if known else SilenceState()
    heard = _listen(workspace, stream, before, labels=plan.unlabelled_after is not None)
    silent = _silences(plan, heard, since, stream.now)
    after = msgspec.structs.replace(heard, told=tuple(silent))
    if after == before and known is not None:
        return []
    alerts = [
        RaiseAlert(
            project=plan.name,
            endpoint=stream.endpoint,
            kind="silence",
            severity=_SEVERITIES[title],
            title=title,
            evidence={
                "last": None if last is None else format_time(last),
                "serves_since": format_time(since),
                "declared": f"at most {format_duration(allowed)}",
            },
            version_id=version_id,
        )
        for title, (last, allowed) in silent.items()
        if title not in before.told
    ]
    state = MonitorState(
        endpoint=stream.endpoint,
        monitor=STATE,
        version_id="",
        watermark=None,
        state=msgspec.json.encode(after),
        updated_at=workspace.clock.now(),
    )
    over = [title for title in before.told if title not in silent]
    with workspace.database.writing() as connection:
        save_state(connection, state)
        settle_gone(connection, stream.endpoint, ("silence",), over, workspace.clock.now())
        for alert in alerts:
            raise_alert(workspace.inside(connection), actor, alert)
    return alerts


def _listen(workspace: Workspace, stream: Stream, before: SilenceState, *, labels: bool) -> SilenceState:
    """What was heard up to now; only what has changed since the last time is read."""
    heard = before
    # States of before answers were told from failures know the newest request alone.
    untold = before.request_at is not None and before.answer_at is None and stream.version is not None
    if untold or (stream.version, stream.errors_version) != (before.answers, before.failures):
        answer_at = stream.last_answer()
        came = [one for one in (answer_at, stream.last_failure()) if one is not None]
        heard = msgspec.structs.replace(
            heard,
            answers=stream.version,
            failures=stream.errors_version,
            request_at=max(came, default=None),
            answer_at=answer_at,
        )
    if labels and (version := ledger.version(workspace, stream.endpoint)) != before.labels:
        heard = msgspec.structs.replace(
            heard, labels=version, label_at=ledger.last_received(workspace, stream.endpoint), waiting_since=None
        )
    waits = heard.answer_at is not None and (heard.label_at is None or heard.answer_at > heard.label_at)
    if labels and waits and heard.waiting_since is None:
        heard = msgspec.structs.replace(heard, waiting_since=stream.first_answer(after=heard.label_at))
    return heard


def _silences(
    plan: MonitoringPlan, heard: SilenceState, since: datetime, now: datetime
) -> dict[str, tuple[datetime | None, timedelta]]:
    """The silences that last longer than declared: when something was heard last, and how long it may be."""
    found: dict[str, tuple[datetime | None, timedelta]] = {}
    if plan.silent_after is not None and now - max(since, heard.request_at or since) > plan.silent_after:
        found[NO_REQUESTS] = (heard.request_at, plan.silent_after)
    # Labels are missed only where predictions wait for some, and for as long: nobody labels a quiet weekend.
    waiting = heard.waiting_since
    if plan.unlabelled_after is not None and waiting and now - max(since, waiting) > plan.unlabelled_after:
        found[NO_LABELS] = (heard.label_at, plan.unlabelled_after)
    return found
