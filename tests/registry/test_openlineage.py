"""Trainings as OpenLineage tells of them: the published shape in our own words, and that no event is lost."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

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
from kept.plan.catalog import ensure_registered
from kept.plan.objective import at_least
from kept.plan.project import Project
from kept.registry.card import DataSource, Lineage, write_card
from kept.registry.catalog import RegisterVersion, register_version
from kept.registry.lineage_telling import note_runs, tell_all
from kept.testing.manual_clock import ManualClock
from kept.tracking.run import Run
from kept.tracking.runs import cancel, create_run, fail, finish, start
from webhook_receiver import receiving

pytestmark = pytest.mark.each_database

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
# Of each facet that is sent: where it may stand, and what it must hold.
FACETS: dict[str, tuple[str, dict[str, type]]] = {
    "nominalTime": ("run", {"nominalStartTime": str}),
    "errorMessage": ("run", {"message": str, "programmingLanguage": str}),
    "jobType": ("job", {"processingType": str, "integration": str}),
    "documentation": ("job", {"description": str}),
    "ownership": ("job", {"owners": list}),
    "schema": ("dataset", {"fields": list}),
    "version": ("dataset", {"datasetVersion": str}),
}


def check(event: dict[str, Any]) -> None:
    """What the specification says of a run event: its fields, their forms, and the facets it knows."""
    assert set(event) == {"eventType", "eventTime", "producer", "schemaURL", "run", "job", "inputs", "outputs"}
    assert event["eventType"] in {"START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"}
    assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    assert re.fullmatch(
        r"https://openlineage.io/spec/\d+-\d+-\d+/OpenLineage.json#/\$defs/RunEvent", event["schemaURL"]
    )
    is_address(event["producer"])
    assert set(event["run"]) <= {"runId", "facets"}
    assert str(UUID(event["run"]["runId"])) == event["run"]["runId"]
    check_facets(event["run"]["facets"], "run")
    assert set(event["job"]) <= {"namespace", "name", "facets"}
    assert event["job"]["namespace"]
    assert event["job"]["name"]
    check_facets(event["job"]["facets"], "job")
    for dataset in [*event["inputs"], *event["outputs"]]:
        assert set(dataset) <= {"namespace", "name", "facets", "inputFacets", "outputFacets"}
        assert dataset["namespace"]
        assert dataset["name"]
        check_facets(dataset["facets"], "dataset")


def check_facets(facets: dict[str, Any], where: str) -> None:
    for name, facet in facets.items():
        place, needed = FACETS[name]
        assert place == where
        is_address(facet["_producer"])
        is_address(facet["_schemaURL"])
        assert facet["_schemaURL"].rpartition("/")[2].lower().startswith(name.lower().removeprefix("version"))
        for field, kind in needed.items():
            assert isinstance(facet[field], kind), (name, field)
    for field in facets.get("schema", {}).get("fields", ()):
        assert isinstance(field["name"], str)
    for owner in facets.get("ownership", {}).get("owners", ()):
        assert isinstance(owner["name"], str)


def is_address(text: str) -> None:
    parts = urlsplit(text)
    assert parts.scheme
    assert parts.netloc


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


@pytest.fixture
def house(workspace: Workspace, me: Actor, tmp_path: Path) -> House:
    return House(workspace, me, tmp_path, lineage_file="lineage.jsonl", lineage_namespace="airline")


def test_a_training_is_told_from_its_start_to_what_it_made(house: House) -> None:
    run = house.train()
    assert tell_all(house.workspace) == 2
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


def test_each_event_is_told_once_as_the_run_goes_on(house: House) -> None:
    run = house.begin()
    assert tell_all(house.workspace) == 1
    assert tell_all(house.workspace) == 0
    house.store(run)
    fail(house.workspace, run.id, "the data are bad\nvery bad")
    assert tell_all(house.workspace) == 1
    assert tell_all(house.workspace) == 0
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
    assert tell_all(house.workspace) == 2
    assert [one["eventType"] for one in house.written()] == ["START", "ABORT"]


def test_nothing_is_told_where_nobody_asks(workspace: Workspace, me: Actor, tmp_path: Path) -> None:
    house = House(workspace, me, tmp_path)
    house.train()
    assert note_runs(house.workspace) == 0
    assert tell_all(house.workspace) == 0


def test_a_gatherer_that_is_away_gets_all_of_it_in_order_later(workspace: Workspace, me: Actor, tmp_path: Path) -> None:
    with receiving() as marquez:
        house = House(workspace, me, tmp_path, lineage_url=marquez.url, lineage_key="s3cret")
        marquez.statuses = [503, 500]
        first, second = house.train(), house.train()
        assert tell_all(house.workspace) == 0
        assert tell_all(house.workspace) == 0
        house.clock.advance(SECOND)
        assert tell_all(house.workspace) == 0
        house.clock.advance(2 * SECOND)
        assert tell_all(house.workspace) == 4
        assert marquez.got[0].headers["Authorization"] == "Bearer s3cret"
        told = [one.told for one in marquez.got[2:]]
        for event in told:
            check(event)
        expected = [(one.id, what) for one in (first, second) for what in ("START", "COMPLETE")]
        assert [(one["run"]["runId"], one["eventType"]) for one in told] == expected


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
