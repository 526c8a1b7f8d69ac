"""Trainings as OpenLineage tells of them: the published shape in our own words, and that no event is lost."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from kept.app.courier import Courier
from kept.data.ingestion import TableSpec, ingest
from kept.evaluation.gate import judge
from kept.evaluation.report import evaluate
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.pipelines.records import put_steps
from kept.pipelines.run_step import RunStep, StepStatus
from kept.plan.catalog import ensure_registered
from kept.plan.objective import at_least
from kept.plan.project import Project
from kept.registry.card import DataSource, Lineage, write_card
from kept.registry.catalog import RegisterVersion, register_version
from kept.registry.lineage_runs import note_runs
from kept.registry.lineage_telling import tell_all
from kept.testing.manual_clock import ManualClock
from kept.tracking.run import Run
from kept.tracking.runs import cancel, create_run, fail, finish, start
from openlineage_events import check
from webhook_receiver import receiving

pytestmark = pytest.mark.each_database

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class House:
    """A project with data, whose trainings are played by hand."""

    def __init__(self, workspace: Workspace, me: Actor, folder: Path, **settings: Any) -> None:
        self.clock = ManualClock(NOON)
        given = msgspec.structs.replace(workspace.settings, **settings)
        self.workspace, self.me = replace(workspace, clock=self.clock, settings=given), me
        project = Project("flights", question="Late?", owner="ops@example.org", objectives=[at_least("roc_auc", 0.5)])
        (folder / "project.py").write_text("")
        ensure_registered(self.workspace, me, project, folder / "project.py")

    def begin(self) -> Run:
        request = {"until": "2013-04-01T00:00:00Z"}
        run = create_run(
            self.workspace, project="flights", kind="training", name="t", created_by="ada", request=request
        )
        self.clock.advance(SECOND)
        return start(self.workspace, run.id)

    def store(self, run: Run) -> None:
        frame = pl.DataFrame({"id": ["a", "b"], "distance": [1.0, 2.0]})
        ingest(
            self.workspace,
            self.me,
            "flights",
            TableSpec(name="flights", key=("id",), source="a file"),
            frame,
            run_id=run.id,
        )

    def register(self, run: Run) -> None:
        random = np.random.default_rng(0)
        scores = random.random(300)
        labels = (random.random(300) < scores).astype(float)
        objectives = [at_least("roc_auc", 0.5)]
        report = evaluate("binary", (0, 1), scores, labels, pl.DataFrame({"x": scores}), objectives, {}, seed=0)
        bundle = self.workspace.blobs.put(run.id.encode())
        lineage = Lineage(
            question="Late?",
            owner="ops",
            estimator="trees",
            data=(DataSource(dataset="flights", number=1, fingerprint="sha256:1", rows=2),),
            features=("distance",),
            training_rows=2,
            run_id=run.id,
            bundle=bundle,
        )
        request = RegisterVersion(
            project="flights",
            model="flights",
            bundle=bundle,
            run_id=run.id,
            verdict=judge(objectives, report),
            card=write_card(lineage, report),
        )
        register_version(self.workspace, self.me, request)

    def train(self) -> Run:
        run = self.begin()
        self.store(run)
        self.register(run)
        self.clock.advance(SECOND)
        return finish(self.workspace, run.id)

    def written(self) -> list[dict[str, Any]]:
        path = self.workspace.root / "lineage.jsonl"
        found = [msgspec.json.decode(line) for line in path.read_text().splitlines()] if path.exists() else []
        for event in found:
            check(event)
        return found


def told(house: House) -> int:
    """Notes and carries what is due; the number of events that were taken."""
    note_runs(house.workspace)
    return tell_all(house.workspace)


@pytest.fixture
def house(workspace: Workspace, me: Actor, tmp_path: Path) -> House:
    return House(workspace, me, tmp_path, lineage_file="lineage.jsonl", lineage_namespace="airline")


def test_a_training_is_told_from_its_start_to_what_it_made(house: House) -> None:
    run = house.train()
    assert told(house) == 2
    began, ended = house.written()
    assert (began["eventType"], began["eventTime"], began["inputs"]) == ("START", "2026-04-01T12:00:01Z", [])
    assert (ended["eventType"], ended["eventTime"]) == ("COMPLETE", "2026-04-01T12:00:02Z")
    assert began["run"]["runId"] == ended["run"]["runId"] == run.id
    assert (ended["job"]["namespace"], ended["job"]["name"]) == ("airline", "flights.training")
    assert ended["job"]["facets"]["ownership"]["owners"][0]["name"] == "ops@example.org"
    assert ended["run"]["facets"]["nominalTime"]["nominalStartTime"] == "2013-04-01T00:00:00Z"
    (read,), (made,) = ended["inputs"], ended["outputs"]
    assert (read["name"], read["facets"]["version"]["datasetVersion"]) == ("flights/flights", "1")
    assert [one["name"] for one in read["facets"]["schema"]["fields"]] == ["distance", "id"]
    assert (made["name"], made["facets"]["version"]["datasetVersion"]) == ("models/flights", "1")


def test_its_evaluation_and_packaging_are_parts_of_it(house: House) -> None:
    run = house.begin()
    house.store(run)
    house.register(run)
    at = [NOON + place * SECOND for place in range(6)]
    steps = [
        RunStep(run_id=run.id, step="fit", position=0, status=StepStatus.FINISHED, started_at=at[0], ended_at=at[1]),
        RunStep(
            run_id=run.id, step="package", position=1, status=StepStatus.FINISHED, started_at=at[2], ended_at=at[3]
        ),
        RunStep(
            run_id=run.id, step="evaluate", position=2, status=StepStatus.FINISHED, started_at=at[4], ended_at=at[5]
        ),
        RunStep(run_id=run.id, step="judge", position=3),
    ]
    with house.workspace.database.writing() as connection:
        put_steps(connection, steps)
    assert told(house) == 1
    house.clock.advance(10 * SECOND)
    finish(house.workspace, run.id)
    assert told(house) == 5
    assert told(house) == 0
    events = house.written()
    assert [(one["job"]["name"], one["eventType"]) for one in events] == [
        ("flights.training", "START"),
        ("flights.training.package", "START"),
        ("flights.training.package", "COMPLETE"),
        ("flights.training.evaluate", "START"),
        ("flights.training.evaluate", "COMPLETE"),
        ("flights.training", "COMPLETE"),
    ]
    packaged, evaluated = events[2], events[4]
    for part, kind in ((packaged, "PACKAGING"), (evaluated, "EVALUATION")):
        assert part["job"]["facets"]["jobType"]["jobType"] == kind
        parent = part["run"]["facets"]["parent"]
        assert (parent["run"]["runId"], parent["job"]["name"]) == (run.id, "flights.training")
    assert len({one["run"]["runId"] for one in events}) == 3
    (bundle,) = packaged["outputs"]
    assert (bundle["name"], bundle["facets"]["version"]["datasetVersion"][:7]) == ("bundles/flights", "sha256:")
    assert [one["name"] for one in evaluated["inputs"]] == ["flights/flights", "bundles/flights"]
    assert evaluated["outputs"][0]["name"] == "evaluations/flights"


def test_each_event_is_told_once_as_the_run_goes_on(house: House) -> None:
    run = house.begin()
    assert told(house) == 1
    assert told(house) == 0
    house.store(run)
    fail(house.workspace, run.id, "the data are bad\nvery bad")
    assert told(house) == 1
    assert told(house) == 0
    _, ended = house.written()
    assert ended["eventType"] == "FAIL"
    assert ended["run"]["facets"]["errorMessage"]["message"] == "the data are bad\nvery bad"
    assert [one["name"] for one in ended["inputs"]] == ["flights/flights"]
    assert ended["outputs"] == []


def test_a_cancelled_one_is_aborted_and_one_that_never_began_is_not_told(house: House) -> None:
    run = house.begin()
    cancel(house.workspace, run.id, "no longer needed")
    waiting = create_run(house.workspace, project="flights", kind="training", name="t", created_by="ada")
    cancel(house.workspace, waiting.id, "never begun")
    assert told(house) == 2
    assert [one["eventType"] for one in house.written()] == ["START", "ABORT"]


def test_nothing_is_told_where_nobody_asks(workspace: Workspace, me: Actor, tmp_path: Path) -> None:
    house = House(workspace, me, tmp_path)
    house.train()
    assert note_runs(house.workspace) == 0
    assert told(house) == 0


def test_a_gatherer_that_is_away_gets_all_of_it_in_order_later(workspace: Workspace, me: Actor, tmp_path: Path) -> None:
    with receiving() as marquez:
        house = House(workspace, me, tmp_path, lineage_url=marquez.url, lineage_key="s3cret")
        marquez.statuses = [503, 500]
        first, second = house.train(), house.train()
        assert told(house) == 0
        assert told(house) == 0
        house.clock.advance(SECOND)
        assert told(house) == 0
        house.clock.advance(2 * SECOND)
        assert told(house) == 4
        assert marquez.got[0].headers["Authorization"] == "Bearer s3cret"
        events = [one.told for one in marquez.got[2:]]
        for event in events:
            check(event)
        expected = [(one.id, what) for one in (first, second) for what in ("START", "COMPLETE")]
        assert [(one["run"]["runId"], one["eventType"]) for one in events] == expected


def test_the_courier_carries_it(workspace: Workspace, me: Actor, tmp_path: Path) -> None:
    with receiving() as marquez:
        house = House(workspace, me, tmp_path, lineage_url=marquez.url, poll_seconds=0.01)
        house.train()
        assert note_runs(house.workspace) == 2
        courier = Courier(house.workspace)
        courier.start()
        try:
            marquez.wait(2)
        finally:
            courier.stop()
        assert [one.told["eventType"] for one in marquez.got] == ["START", "COMPLETE"]
