from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import polars as pl
import pytest

from kept.core.errors import Invalid
from kept.data.label import LabelEntry
from kept.data.labels import RecordLabels, record_labels, ship_all
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.monitoring.incidents import ListIncidents, list_incidents
from kept.monitoring.plan import MonitoringPlan
from kept.monitoring.records import find_state, save_state
from kept.monitoring.silence import NO_LABELS, NO_REQUESTS, STATE, watch_silence
from kept.monitoring.stream import Stream
from kept.plan.description import describe
from kept.plan.objective import at_least
from kept.plan.policy import Release, Retrain
from kept.plan.project import Project
from kept.testing.manual_clock import ManualClock

pytestmark = pytest.mark.each_database

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
LONG_AGO = datetime(2013, 4, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NEW_FIELDS = {"answer_at", "waiting_since"}
PLAN = MonitoringPlan(
    name="flights",
    window=24 * HOUR,
    drift_budget=timedelta(days=90),
    silent_after=2 * HOUR,
    unlabelled_after=24 * HOUR,
    objectives=(),
    label_delay=timedelta(0),
    retraining=Retrain(),
    releasing=Release(),
)


class Endpoint:
    """An endpoint that serves since noon; event time stands in 2013 throughout."""

    def __init__(self, workspace: Workspace, me: Actor) -> None:
        self.clock = ManualClock(NOON)
        self.workspace, self.me = replace(workspace, clock=self.clock), me

    def request(self, *, failed: bool = False) -> None:
        rows = {"id": ["a"], "role": ["champion"], "received_at": [self.clock.now()]}
        if failed:
            self.workspace.tables.append("prediction_errors/flights", pl.DataFrame(rows | {"status": [400]}))
        else:
            self.workspace.tables.append("predictions/flights", pl.DataFrame(rows | {"event_time": [LONG_AGO]}))

    def label(self) -> None:
        entry = LabelEntry(prediction_id="a", value=True, known_at=LONG_AGO)
        record_labels(self.workspace, self.me, RecordLabels(endpoint="flights", labels=[entry]))
        ship_all(self.workspace)

    def look(self, after: timedelta = timedelta(0), plan: MonitoringPlan = PLAN) -> list[str]:
        self.clock.advance(after)
        stream = Stream(self.workspace, "flights")
        return [one.title for one in watch_silence(self.workspace, self.me, plan, stream, "v1", NOON)]

    def states(self) -> list[str]:
        return [one.state for one in list_incidents(self.workspace, self.me, ListIncidents())]


@pytest.fixture
def endpoint(workspace: Workspace, me: Actor) -> Endpoint:
    return Endpoint(workspace, me)


def test_silence_is_told_once_and_ends_with_the_next_request(endpoint: Endpoint) -> None:
    endpoint.request()
    assert endpoint.look(2 * HOUR) == []
    assert endpoint.look(timedelta(seconds=1)) == [NO_REQUESTS]
    assert endpoint.look(9 * HOUR) == []
    assert endpoint.states() == ["open"]
    endpoint.request()
    assert endpoint.look() == []
    assert endpoint.states() == ["resolved"]
    assert endpoint.look(3 * HOUR) == [NO_REQUESTS]
    assert endpoint.states() == ["open", "resolved"]


def test_an_endpoint_that_nobody_ever_asked_is_silent_from_its_release_on(endpoint: Endpoint) -> None:
    assert endpoint.look(HOUR) == []
    assert endpoint.look(HOUR + timedelta(seconds=1)) == [NO_REQUESTS]


def test_a_request_that_fails_is_no_silence(endpoint: Endpoint) -> None:
    endpoint.clock.advance(HOUR)
    endpoint.request(failed=True)
    assert endpoint.look(2 * HOUR) == []


def test_labels_are_missed_while_predictions_wait_for_them(endpoint: Endpoint) -> None:
    quiet = timedelta(hours=25)
    assert NO_LABELS not in endpoint.look(quiet)
    endpoint.request()
    assert NO_LABELS not in endpoint.look()
    assert NO_LABELS in endpoint.look(quiet)
    endpoint.label()
    endpoint.request()
    assert endpoint.look() == []
    assert sorted(endpoint.states()) == ["resolved", "resolved", "resolved"]


def test_labels_are_not_missed_right_after_a_quiet_weekend(endpoint: Endpoint) -> None:
    plan = msgspec.structs.replace(PLAN, silent_after=None)
    endpoint.request()
    endpoint.clock.advance(HOUR)
    endpoint.label()
    assert endpoint.look(60 * HOUR, plan) == []
    endpoint.request()
    assert endpoint.look(plan=plan) == []
    # More requests do not put it off.
    endpoint.clock.advance(23 * HOUR)
    endpoint.request()
    assert endpoint.look(HOUR, plan) == []
    assert endpoint.look(timedelta(seconds=1), plan) == [NO_LABELS]


def test_nothing_declared_is_nothing_watched(endpoint: Endpoint) -> None:
    none = msgspec.structs.replace(PLAN, silent_after=None, unlabelled_after=None)
    assert endpoint.look(timedelta(days=400), none) == []


def test_a_project_declares_it() -> None:
    project = Project("flights", question="Late?", owner="ops", objectives=[at_least("roc_auc", 0.6)])
    assert "silent_after" not in describe(project)["monitor"]
    project.monitor(silent_after="2h", unlabelled_after="3d")
    assert describe(project)["monitor"]["silent_after"] == "PT7200S"
    with pytest.raises(Invalid, match="it is zero"):
        project.monitor(silent_after="0h")


def test_labels_are_still_missed_after_an_upgrade(endpoint: Endpoint) -> None:
    endpoint.request()
    assert endpoint.look(26 * HOUR) == [NO_REQUESTS, NO_LABELS]
    with endpoint.workspace.database.writing() as connection:
        known = find_state(connection, "flights", STATE, "")
        assert known is not None
        # As it was stored before answers and what waits for labels were kept.
        stored = {name: held for name, held in msgspec.json.decode(known.state).items() if name not in NEW_FIELDS}
        save_state(connection, msgspec.structs.replace(known, state=msgspec.json.encode(stored)))
    assert endpoint.look(HOUR) == []
    assert endpoint.states() == ["open", "open"]
