from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.core.errors import Conflict, Forbidden, Invalid, NotFound
from kept.deployment.endpoint import Endpoint
from kept.deployment.records import save_endpoint
from kept.governance.actor import Actor, Permission
from kept.governance.journal import ListAudit, list_audit
from kept.governance.workspace import Workspace
from kept.monitoring.alerts import RaiseAlert, raise_alert
from kept.monitoring.incident import Incident, Mute, muted_until
from kept.monitoring.incidents import (
    Acknowledge,
    ListIncidents,
    ListMutes,
    MuteAlerts,
    Resolve,
    ShowIncident,
    Unmute,
    acknowledge,
    list_incidents,
    list_mutes,
    mute,
    resolve,
    show_incident,
    unmute,
)
from kept.monitoring.settling import settle_acted, settle_gone
from kept.monitoring.telling import tell_due
from kept.testing.manual_clock import ManualClock

pytestmark = pytest.mark.each_database

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def drift(**changes: Any) -> RaiseAlert:
    one = RaiseAlert(
        project="flights",
        endpoint="flights",
        kind="drift",
        severity="warning",
        title="the inputs have drifted",
        evidence={"columns": [{"name": "x", "listed": True}, {"name": "y", "listed": False}]},
        version_id="v1",
        event_time=NOON,
    )
    return msgspec.structs.replace(one, **changes)


class Place:
    """A workspace with a clock that stands still, and three groups of receivers that nobody carries to."""

    def __init__(self, workspace: Workspace, me: Actor) -> None:
        self.clock = ManualClock(NOON)
        settings = msgspec.structs.replace(
            workspace.settings,
            webhook_url="https://hooks.example.org/kept",
            alert_email="ops@example.org",
            alert_escalation="mailto:lead@example.org slack://token",
        )
        self.workspace = replace(workspace, settings=settings, clock=self.clock)
        self.me = me
        with workspace.database.writing() as connection:
            save_endpoint(connection, Endpoint(name="flights", project="flights", model="flights", created_at=NOON))

    def raised(self, **changes: Any) -> Incident:
        alert = raise_alert(self.workspace, self.me, drift(**changes))
        return show_incident(self.workspace, self.me, ShowIncident(incident=alert.id)).incident

    def told(self, incident: Incident) -> list[str]:
        found = show_incident(self.workspace, self.me, ShowIncident(incident=incident.id))
        return [one.target for one in found.notices]

    def later(self, length: timedelta) -> int:
        self.clock.advance(length)
        return tell_due(self.workspace)

    def now(self, incident: Incident) -> Incident:
        return show_incident(self.workspace, self.me, ShowIncident(incident=incident.id)).incident


@pytest.fixture
def place(workspace: Workspace, me: Actor) -> Place:
    return Place(workspace, me)


def test_the_same_condition_is_one_incident_and_told_once(place: Place) -> None:
    first = place.raised()
    for _ in range(3):
        again = place.raised()
    assert (again.id, again.alerts, again.first_at) == (first.id, 4, first.first_at)
    assert place.told(first) == ["webhook", "email:1"]
    other = place.raised(title="the predictions have drifted")
    assert other.id != first.id
    assert [one.id for one in list_incidents(place.workspace, place.me, ListIncidents())] == [other.id, first.id]
    detail = show_incident(place.workspace, place.me, ShowIncident(incident=first.id))
    assert len(detail.alerts) == 4
    assert detail.alerts[0].evidence == drift().evidence


def test_what_nobody_acknowledges_is_told_to_the_next_and_the_next(place: Place) -> None:
    incident = place.raised()
    assert place.later(29 * MINUTE) == 0
    assert place.later(MINUTE) == 1
    assert place.told(incident) == ["webhook", "email:1", "escalation:1"]
    assert place.later(30 * MINUTE) == 1
    assert place.told(incident)[3:] == ["escalation:2"]
    assert place.later(timedelta(days=9)) == 0


def test_who_acknowledges_owns_it_and_nobody_else_is_told(place: Place) -> None:
    incident = place.raised()
    taken = acknowledge(place.workspace, place.me, Acknowledge(incident=incident.id, note="I look at it"))
    assert (taken.state, taken.owner, taken.acknowledged_by, taken.note) == (
        "acknowledged",
        "ada",
        "ada",
        "I look at it",
    )
    assert place.later(timedelta(days=1)) == 0
    again = place.raised()
    assert (again.state, again.alerts) == ("acknowledged", 2)
    assert place.told(incident) == ["webhook", "email:1"]


def test_what_grows_graver_is_told_again(place: Place) -> None:
    incident = place.raised()
    acknowledge(place.workspace, place.me, Acknowledge(incident=incident.id, owner="bob"))
    graver = place.raised(severity="critical")
    assert (graver.state, graver.severity, graver.owner) == ("open", "critical", "bob")
    assert place.told(incident) == ["webhook", "email:1"] * 2
    assert place.raised(severity="info").severity == "critical"


def test_information_escalates_to_nobody(place: Place) -> None:
    incident = place.raised(severity="info")
    assert place.later(timedelta(days=1)) == 0
    assert place.told(incident) == ["webhook", "email:1"]


def test_a_resolved_one_is_over_and_the_same_again_is_another(place: Place) -> None:
    incident = place.raised()
    ended = resolve(place.workspace, place.me, Resolve(incident=incident.id, reason="a new sensor"))
    assert (ended.state, ended.resolved_by, ended.resolution, ended.next_at) == (
        "resolved",
        "ada",
        "a new sensor",
        None,
    )
    with pytest.raises(Conflict, match="resolved already by ada"):
        acknowledge(place.workspace, place.me, Acknowledge(incident=incident.id))
    place.clock.advance(MINUTE)
    again = place.raised()
    assert (again.id == incident.id, again.alerts, again.state) == (False, 1, "open")
    assert place.now(incident).alerts == 1
    assert [one.id for one in list_incidents(place.workspace, place.me, ListIncidents(standing=True))] == [again.id]


def test_a_mute_puts_off_and_loses_nothing(place: Place) -> None:
    made = mute(place.workspace, place.me, MuteAlerts(endpoint="flights", kind="drift", length="8h", reason="sale"))
    assert list_mutes(place.workspace, place.me, ListMutes()) == [made]
    quiet = place.raised()
    loud = place.raised(kind="decay", title="the loss has risen")
    assert place.told(quiet) == []
    assert place.told(loud) == ["webhook", "email:1"]
    assert show_incident(place.workspace, place.me, ShowIncident(incident=quiet.id)).muted_until == made.until
    acknowledge(place.workspace, place.me, Acknowledge(incident=loud.id))
    assert place.later(timedelta(hours=7)) == 0
    assert place.later(timedelta(hours=1)) == 1
    assert place.told(quiet) == ["webhook", "email:1"]
    assert list_mutes(place.workspace, place.me, ListMutes()) == []


def test_a_mute_that_comes_later_stops_the_escalation(place: Place) -> None:
    incident = place.raised()
    mute(place.workspace, place.me, MuteAlerts(endpoint="flights", length="2h", reason="night"))
    assert place.later(30 * MINUTE) == 1
    assert place.told(incident) == ["webhook", "email:1"]
    assert place.later(90 * MINUTE) == 1
    assert place.told(incident)[2:] == ["escalation:1"]


def test_unmuting_tells_at_once(place: Place) -> None:
    made = mute(place.workspace, place.me, MuteAlerts(endpoint="flights", length="8h", reason="sale"))
    incident = place.raised()
    unmute(place.workspace, place.me, Unmute(mute=made.id))
    assert tell_due(place.workspace) == 1
    assert place.told(incident) == ["webhook", "email:1"]
    with pytest.raises(Conflict, match="ended already"):
        unmute(place.workspace, place.me, Unmute(mute=made.id))


def test_unmuting_lets_the_escalation_go_on_at_once(place: Place) -> None:
    incident = place.raised()
    made = mute(place.workspace, place.me, MuteAlerts(endpoint="flights", length="8h", reason="night"))
    assert place.later(timedelta(hours=1)) == 1
    assert place.told(incident) == ["webhook", "email:1"]
    unmute(place.workspace, place.me, Unmute(mute=made.id))
    assert tell_due(place.workspace) == 1
    assert place.told(incident)[2:] == ["escalation:1"]


def test_unmuting_hurries_no_escalation_that_was_not_put_off(place: Place) -> None:
    incident = place.raised()
    made = mute(place.workspace, place.me, MuteAlerts(endpoint="flights", length="8h", reason="night"))
    unmute(place.workspace, place.me, Unmute(mute=made.id))
    assert tell_due(place.workspace) == 0
    assert place.told(incident) == ["webhook", "email:1"]


def test_a_column_that_is_known_is_muted_until_another_joins_it(place: Place) -> None:
    mute(place.workspace, place.me, MuteAlerts(endpoint="flights", column="x", length="8h", reason="known"))
    assert place.told(place.raised()) == []
    both = {"columns": [{"name": "x", "listed": True}, {"name": "y", "listed": True}]}
    assert place.told(place.raised(title="more", evidence=both)) == ["webhook", "email:1"]
    assert place.told(place.raised(title="x is missing", kind="quality", evidence={"column": "x"})) == []
    assert place.told(place.raised(title="of no column", kind="errors", evidence={})) == ["webhook", "email:1"]


def test_wrong_words_are_refused(place: Place) -> None:
    with pytest.raises(NotFound):
        show_incident(place.workspace, place.me, ShowIncident(incident="none"))
    with pytest.raises(Invalid, match="needs a reason"):
        resolve(place.workspace, place.me, Resolve(incident=place.raised().id, reason=" "))
    for wrong in (
        {"length": "1h", "until": NOON},
        {},
        {"until": NOON - MINUTE},
        {"until": datetime(2026, 4, 2)},
        {"length": "900d"},
        {"length": "soon"},
    ):
        with pytest.raises(Invalid):
            mute(place.workspace, place.me, MuteAlerts(endpoint="flights", reason="x", **wrong))
    with pytest.raises(NotFound, match="no endpoint 'flihgts'"):
        mute(place.workspace, place.me, MuteAlerts(endpoint="flihgts", reason="x", length="1h"))
    viewer = Actor(name="eve", origin="api", permissions=frozenset({Permission.VIEW}))
    with pytest.raises(Forbidden):
        acknowledge(place.workspace, viewer, Acknowledge(incident="x"))
    assert [one.action for one in list_audit(place.workspace, place.me, ListAudit(action="monitoring.mute"))]


def test_it_ends_by_itself_when_the_condition_or_the_version_has_gone(place: Place) -> None:
    gone = place.raised(kind="quality", title="x is missing", evidence={"column": "x"})
    stays = place.raised(kind="quality", title="y is missing", evidence={"column": "y"})
    with place.workspace.database.writing() as connection:
        settle_gone(connection, "flights", ("quality", "errors"), ["x is missing", "unknown"], NOON)
    assert (place.now(gone).state, place.now(gone).resolved_by) == ("resolved", "kept")
    drifted, failed = place.raised(), place.raised(kind="failed", title="the training failed")
    settle_acted(place.workspace, "flights", "v1", NOON - MINUTE)
    assert place.now(drifted).state == "open"
    settle_acted(place.workspace, "flights", "v2", None)
    assert (place.now(drifted).state, place.now(drifted).resolution) == ("resolved", "another version serves now")
    again = place.raised()
    settle_acted(place.workspace, "flights", "v1", NOON)
    assert place.now(again).resolution == "a training that knew of it has ended"
    assert place.now(failed).state == place.now(stays).state == "open"


@given(
    columns=st.sets(st.sampled_from("abc"), max_size=3),
    mutes=st.lists(st.tuples(st.sampled_from([None, "a", "b", "c"]), st.integers(-2, 9)), max_size=6),
)
def test_a_mute_holds_while_every_column_is_muted(columns: set[str], mutes: list[tuple[str | None, int]]) -> None:
    incident = msgspec.structs.replace(INCIDENT, columns=tuple(sorted(columns)))
    made = [
        Mute(id=str(place), endpoint="flights", kind=None, column=column, until=NOON + end * MINUTE, reason="r",
             created_by="ada", created_at=NOON)
        for place, (column, end) in enumerate(mutes)
    ]  # fmt: skip
    for minute in range(12):
        now = NOON + minute * MINUTE
        until = muted_until(incident, made, now)
        assert (until is not None) == quiet_at(now, columns, made)
        while until is not None and now < until:
            assert quiet_at(now, columns, made)
            now += MINUTE


def quiet_at(now: datetime, columns: set[str], made: list[Mute]) -> bool:
    live = {one.column for one in made if one.until > now}
    return None in live or (bool(columns) and columns <= live)


INCIDENT = Incident(
    id="1", project="flights", endpoint="flights", kind="drift", severity="warning", title="t", version_id=None,
    owner="", first_at=NOON, last_at=NOON, last_event_time=None, alert_id="1", next_at=None,
)  # fmt: skip
