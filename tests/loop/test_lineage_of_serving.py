"""Releases and monitoring as OpenLineage tells of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from kept.core.ids import new_id
from kept.deployment.endpoint import Endpoint
from kept.deployment.records import insert_rollout, save_endpoint, update_rollout
from kept.deployment.rollout import Rollout, Rule, State
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.loop.lineage import note_serving
from kept.monitoring.records import save_state
from kept.monitoring.result import MonitorState
from kept.plan.catalog import ensure_registered
from kept.plan.objective import at_least
from kept.plan.project import Project
from kept.registry.lineage_telling import tell_all
from kept.testing.manual_clock import ManualClock
from openlineage_events import check
from registering import register

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class House:
    """An endpoint with a version, whose rollouts and monitors are played by hand."""

    def __init__(self, workspace: Workspace, me: Actor, folder: Path, **settings: Any) -> None:
        self.clock = ManualClock(NOON)
        given = msgspec.structs.replace(workspace.settings, **settings)
        self.workspace = replace(workspace, clock=self.clock, settings=given)
        project = Project("rides", question="Late?", owner="ops@example.org", objectives=[at_least("roc_auc", 0.5)])
        (folder / "project.py").write_text("")
        ensure_registered(self.workspace, me, project, folder / "project.py")
        self.version = register(self.workspace, me, "rides", self.workspace.blobs.put(b"bundle"))
        with self.workspace.database.writing() as connection:
            save_endpoint(connection, Endpoint(name="rides", project="rides", model="rides", created_at=NOON))

    def release(self) -> Rollout:
        made = Rollout(
            id=new_id(),
            endpoint="rides",
            candidate=self.version.id,
            champion=None,
            rule=Rule(),
            state="canary",
            step=0,
            evidence=(),
            reason="it begins",
            event_time=None,
            created_at=self.clock.now(),
            updated_at=self.clock.now(),
        )
        with self.workspace.database.writing() as connection:
            insert_rollout(connection, made)
        return made

    def end(self, rollout: Rollout, state: State, reason: str) -> None:
        self.clock.advance(HOUR)
        ended = msgspec.structs.replace(rollout, state=state, reason=reason, updated_at=self.clock.now())
        with self.workspace.database.writing() as connection:
            update_rollout(connection, ended)

    def watched(self, monitor: str, watermark: datetime | None) -> None:
        self.clock.advance(HOUR)
        state = MonitorState(
            endpoint="rides",
            monitor=monitor,
            version_id=self.version.id,
            watermark=watermark,
            state=b"",
            updated_at=self.clock.now(),
        )
        with self.workspace.database.writing() as connection:
            save_state(connection, state)

    def told(self) -> list[dict[str, Any]]:
        """What is told of now, beyond what was before."""
        before = len(self._written())
        note_serving(self.workspace)
        tell_all(self.workspace)
        return self._written()[before:]

    def _written(self) -> list[dict[str, Any]]:
        path = self.workspace.root / "lineage.jsonl"
        found = [msgspec.json.decode(line) for line in path.read_text().splitlines()] if path.exists() else []
        for event in found:
            check(event)
        return found


def named(datasets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["name"], one["facets"]["version"]["datasetVersion"]) for one in datasets]


@pytest.fixture
def house(workspace: Workspace, me: Actor, tmp_path: Path) -> House:
    return House(workspace, me, tmp_path, lineage_file="lineage.jsonl")


def test_a_release_is_told_from_its_first_traffic_to_its_end(house: House) -> None:
    good = house.release()
    (began,) = house.told()
    assert (began["eventType"], began["run"]["runId"], began["job"]["name"]) == ("START", good.id, "rides.release")
    assert (named(began["inputs"]), began["outputs"]) == ([("models/rides", "1")], [])
    assert began["job"]["facets"]["jobType"]["jobType"] == "RELEASE"
    assert began["job"]["facets"]["ownership"]["owners"][0]["name"] == "ops@example.org"
    house.end(good, "promoted", "it is not worse")
    (ended,) = house.told()
    assert (ended["eventType"], ended["eventTime"]) == ("COMPLETE", "2026-04-01T13:00:00Z")
    assert named(ended["outputs"]) == [("endpoints/rides", "1")]
    bad = house.release()
    house.end(bad, "rolled_back", "errors rose")
    began, ended = house.told()
    assert (began["run"]["runId"], ended["eventType"], ended["outputs"]) == (bad.id, "ABORT", [])
    assert ended["run"]["facets"]["errorMessage"]["message"] == "errors rose"
    assert house.told() == []


def test_each_event_time_that_monitors_have_come_to_is_told_once(house: House) -> None:
    house.watched("drift", None)
    assert house.told() == []
    house.workspace.tables.append("predictions/rides", pl.DataFrame({"x": [1]}))
    house.watched("drift", datetime(2013, 4, 2, tzinfo=UTC))
    house.watched("decay", datetime(2013, 4, 1, tzinfo=UTC))
    began, ended = house.told()
    assert (began["eventType"], ended["eventType"], ended["eventTime"]) == ("START", "COMPLETE", "2026-04-01T14:00:00Z")
    assert ended["job"]["name"] == "rides.monitoring"
    assert ended["run"]["facets"]["nominalTime"]["nominalStartTime"] == "2013-04-02T00:00:00Z"
    (predictions, model) = named(ended["inputs"])
    assert predictions[0] == "predictions/rides"
    assert model == ("models/rides", "1")
    assert named(ended["outputs"]) == [("monitors/rides", "2013-04-02T00:00:00Z")]
    assert house.told() == []
    house.watched("drift", datetime(2013, 4, 3, tzinfo=UTC))
    later = house.told()
    assert [one["eventType"] for one in later] == ["START", "COMPLETE"]
    assert later[0]["run"]["runId"] != began["run"]["runId"]


def test_nobody_is_told_where_nobody_asks(workspace: Workspace, me: Actor, tmp_path: Path) -> None:
    house = House(workspace, me, tmp_path)
    house.release()
    house.watched("drift", NOON)
    assert note_serving(house.workspace) == 0
