"""The loop's answer to an incident: decisions that name its alerts, and what became of the trainings they set off."""

from typing import Any

import msgspec

from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.loop.decision import Decision
from kept.loop.records import decisions_about, decisions_of
from kept.monitoring.alert import Alert
from kept.monitoring.incidents import the_incident
from kept.monitoring.records import alerts_in

_MOST_ALERTS = 1_000
_MOST_DECISIONS = 1_000


class ShowAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One incident, by its own id or that of one of its alerts."""

    incident: str


@operation("loop.answer", needs=Permission.VIEW, audit=Audit.READ)
def show_answer(workspace: Workspace, actor: Actor, request: ShowAnswer) -> list[Decision]:
    """The decisions that an incident led to, or that led to it, oldest first."""
    del actor
    with workspace.database.reading() as connection:
        incident = the_incident(connection, request.incident)
        alerts = alerts_in(connection, incident, _MOST_ALERTS)
        found: dict[str, Decision] = {}
        endpoint = incident.endpoint
        own = decisions_of(connection, incident.project, endpoint=endpoint, limit=_MOST_DECISIONS)
        for one in reversed(own):
            if _names(one, alerts):
                found[one.id] = one
                later = decisions_about(connection, one.run_id) if one.run_id else []
                found |= {each.id: each for each in later if each.endpoint in {None, endpoint}}
    return sorted(found.values(), key=lambda one: (one.at, one.id))


def _names(decision: Decision, alerts: list[Alert]) -> bool:
    """Whether a decision was set off by one of these alerts, or one of them tells of it."""
    triggers: Any = decision.evidence.get("triggers", ())
    named = {name for one in triggers if isinstance(one, dict) for name in one.get("alerts", ())}
    if any(one.id in named for one in alerts):
        return True
    told = {"reject": {"rejected", "failed"}, "roll_back": {"rolled_back"}}.get(decision.kind, set())
    return any(one.kind in told and one.evidence.get("reason") == decision.reason for one in alerts)
