from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.monitoring.alerts import ListAlerts, list_alerts
from kept.monitoring.incidents import ListIncidents, list_incidents
from kept.monitoring.outage import REFUSED, TITLE, watch_outage
from kept.monitoring.stream import Stream

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def fail(workspace: Workspace, *seconds: int, status: int = 500) -> None:
    rows = {
        "received_at": [NOON + one * SECOND for one in seconds],
        "version_id": "v1",
        "role": "champion",
        "status": status,
    }
    workspace.tables.append("prediction_errors/flights", pl.DataFrame(rows))


def answer(workspace: Workspace, second: int) -> None:
    moment = NOON + second * SECOND
    rows = pl.DataFrame({"id": ["a"], "role": ["champion"], "received_at": [moment], "event_time": [moment]})
    workspace.tables.append("predictions/flights", rows)


def look(workspace: Workspace, me: Actor) -> bool:
    return watch_outage(workspace, me, "flights", Stream(workspace, "flights"), "v1") is not None


def test_an_endpoint_that_never_answers_is_told_once(workspace: Workspace, me: Actor) -> None:
    assert not look(workspace, me)
    fail(workspace, 0, 1, 2, 3, 4)
    assert not look(workspace, me)
    fail(workspace, 40)
    assert look(workspace, me)
    assert not look(workspace, me)
    fail(workspace, 50)
    assert not look(workspace, me)
    (alert,) = list_alerts(workspace, me, ListAlerts(endpoint="flights"))
    assert (alert.title, alert.kind, alert.severity, alert.evidence["failed"]) == (TITLE, "errors", "critical", 6)


def test_it_is_told_again_after_answers_have_come_between(workspace: Workspace, me: Actor) -> None:
    fail(workspace, 0, 10, 20, 30, 40)
    assert look(workspace, me)
    answer(workspace, 50)
    fail(workspace, 60, 61, 62, 63, 64)
    assert not look(workspace, me)
    fail(workspace, 100)
    assert look(workspace, me)


def test_what_callers_do_wrong_is_no_outage(workspace: Workspace, me: Actor) -> None:
    fail(workspace, *range(0, 60, 5), status=404)
    fail(workspace, *range(0, 60, 5), status=429)
    assert not look(workspace, me)


@pytest.mark.parametrize("status", [400, 422])
def test_callers_that_all_send_another_schema_are_told_of_once_until_one_is_answered(
    workspace: Workspace, me: Actor, status: int
) -> None:
    answer(workspace, 0)
    fail(workspace, 1, 2, 3, 4, status=status)
    assert not look(workspace, me)
    fail(workspace, 40, status=status)
    assert look(workspace, me)
    assert not look(workspace, me)
    fail(workspace, 50, status=status)
    assert not look(workspace, me)
    (alert,) = list_alerts(workspace, me, ListAlerts(endpoint="flights"))
    assert (alert.title, alert.kind, alert.severity, alert.evidence["refused"]) == (REFUSED, "quality", "warning", 5)
    answer(workspace, 60)
    assert not look(workspace, me)
    (over,) = list_incidents(workspace, me, ListIncidents(endpoint="flights"))
    assert over.state == "resolved"


def test_a_model_that_fails_is_an_outage_though_others_are_refused(workspace: Workspace, me: Actor) -> None:
    fail(workspace, *range(0, 60, 5), status=422)
    fail(workspace, *range(0, 60, 5))
    assert look(workspace, me)
    assert not look(workspace, me)
    (alert,) = list_alerts(workspace, me, ListAlerts(endpoint="flights"))
    assert alert.title == TITLE
