"""Queries in GraphQL, as MLflow's pages and some scripts ask them."""

from collections.abc import Callable
from typing import Any

import pytest
from asking import Ask
from litestar import Litestar
from litestar.testing import TestClient

API = "/api/2.0/mlflow-artifacts/artifacts/"
Query = Callable[..., Any]


@pytest.fixture
def query(ask: Ask) -> Query:
    """Asks, and gives the data; with `faults`, the sentences of what could not be answered."""

    def asking(text: str, /, *, faults: bool = False, **more: Any) -> Any:
        told = ask("POST", "/graphql", {"query": text, **more}, root="")
        assert (told["errors"] is not None) is faults, told
        return told["errors"] if faults else told["data"]

    return asking


def test_an_experiment_is_asked_for_field_by_field(ask: Ask, query: Query) -> None:
    made = ask("POST", "experiments/create", {"name": "asked", "tags": [{"key": "team", "value": "risk"}]})
    text = "query Q($id: String!) { mlflowGetExperiment(input: {experimentId: $id}) { experiment { %s } apiError { code } } }"
    given = {"variables": {"id": made["experiment_id"]}, "operationName": "Q"}
    told = query(text % "name artifactLocation creationTime tags { key value } kind: __typename", **given)
    experiment = told["mlflowGetExperiment"]["experiment"]
    assert experiment["name"] == "asked"
    assert experiment["artifactLocation"] == f"mlflow-artifacts:/{made['experiment_id']}"
    assert experiment["tags"] == [{"key": "team", "value": "risk"}]
    assert experiment["creationTime"].isdecimal()
    assert experiment["kind"] == "MlflowExperiment"
    assert told["mlflowGetExperiment"]["apiError"] is None


def test_a_run_comes_with_its_experiment_and_its_versions(ask: Ask, query: Query, run: str) -> None:
    ask("POST", "registered-models/create", {"name": "scorer"})
    ask("POST", "model-versions/create", {"name": "scorer", "source": f"runs:/{run}/model", "run_id": run})
    for name, value in (("auc", 0.5), ("broken", "NaN"), ("endless", "Infinity")):
        ask("POST", "runs/log-metric", {"run_id": run, "key": name, "value": value, "timestamp": 1, "step": 2})
    text = """
        query testQuery @component(name: "Test") {
            mlflowGetRun(input: {runId: "%s"}) { run {
                info { status endTime userId } experiment { name } modelVersions { name version aliases }
                data { metrics { key value timestamp step datasetName } } outputs { modelOutputs { modelId } }
            } }
        }
    """
    found = query(text % run)["mlflowGetRun"]["run"]
    assert found["info"] == {"status": "RUNNING", "endTime": "0", "userId": "ada"}
    assert found["experiment"] == {"name": "Default"}
    assert found["modelVersions"] == [{"name": "scorer", "version": "1", "aliases": []}]
    assert found["outputs"] == {"modelOutputs": []}
    values = {one["key"]: one["value"] for one in found["data"]["metrics"]}
    assert values == {"auc": 0.5, "broken": None, "endless": 1.7976931348623157e308}
    assert found["data"]["metrics"][0] == {"key": "auc", "value": 0.5, "timestamp": "1", "step": "2", "datasetName": ""}


def test_runs_histories_datasets_and_files_are_found(
    ask: Ask, query: Query, run: str, client: TestClient[Litestar]
) -> None:
    for step in range(3):
        ask("POST", "runs/log-metric", {"run_id": run, "key": "m", "value": step, "timestamp": step, "step": step})
    read = {"dataset": {"name": "d", "digest": "1", "source_type": "s", "source": "x"}}
    ask("POST", "runs/log-inputs", {"run_id": run, "datasets": [read]})
    client.put(f"{API}0/{run}/artifacts/folder/a.txt", content=b"hello")

    text = 'mutation { mlflowSearchRuns(input: {experimentIds: ["0"], maxResults: 5}) { runs { info { runId } } nextPageToken } }'
    assert query(text)["mlflowSearchRuns"] == {"runs": [{"info": {"runId": run}}], "nextPageToken": ""}
    text = '{ mlflowGetMetricHistoryBulkInterval(input: {runIds: ["%s"], metricKey: "m"}) { metrics { value step } } }'
    metrics = query(text % run)["mlflowGetMetricHistoryBulkInterval"]["metrics"]
    assert metrics == [{"value": float(step), "step": str(step)} for step in range(3)]
    text = 'mutation { mlflowSearchDatasets(input: {experimentIds: ["0"]}) { datasetSummaries { name context } } }'
    assert query(text)["mlflowSearchDatasets"] == {"datasetSummaries": [{"name": "d", "context": ""}]}
    text = """
        { top: mlflowListArtifacts(input: {runId: "%s"}) { ...Listed }
          below: mlflowListArtifacts(input: {runId: "%s", path: "folder"}) { ...Listed } }
        fragment Listed on MlflowListArtifactsResponse { files { path isDir fileSize } }
    """
    assert query(text % (run, run)) == {
        "top": {"files": [{"path": "folder", "isDir": True, "fileSize": "0"}]},
        "below": {"files": [{"path": "folder/a.txt", "isDir": False, "fileSize": "5"}]},
    }


def test_one_field_that_can_not_be_answered_does_not_keep_the_others(ask: Ask) -> None:
    text = """
        { here: mlflowGetExperiment(input: {experimentId: "0"}) { experiment { name } }
          away: mlflowGetExperiment(input: {experimentId: "99"}) { experiment { name } } }
    """
    told = ask("POST", "/graphql", {"query": text}, root="")
    assert told["data"] == {"here": {"experiment": {"name": "Default"}}, "away": None}
    assert told["errors"] == ["No Experiment with id=99 exists"]


def test_what_is_no_query_is_refused(client: TestClient[Litestar]) -> None:
    for body in (b"x", b"{}", b'{"query": 5}'):
        answer = client.post("/graphql", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_the_operation_that_is_named_is_answered(query: Query) -> None:
    text = "query First {__typename} mutation Second {kind: __typename}"
    assert query(text, operationName="Second") == {"kind": "Mutation"}
    assert query(text, operationName="Third", faults=True) == ["Unknown operation named 'Third'."]


def test_aliases_within_each_other_do_not_multiply_an_answer_without_end(ask: Ask, query: Query) -> None:
    tags = [{"key": f"k{one}", "value": "v"} for one in range(400)]
    for _ in range(5):
        ask("POST", "runs/create", {"experiment_id": "0", "tags": tags})
    text = "{key value}"
    for name, times in (("tags", 2), ("data", 10), ("runs", 10)):
        text = "{" + " ".join(f"{name}{one}: {name} {text}" for one in range(times)) + "}"
    asked = '{mlflowSearchRuns(input: {experimentIds: ["0"]}) %s}'
    told = query(asked % "{runs {data {tags {key value}}}}")
    assert len(told["mlflowSearchRuns"]["runs"]) == 5
    assert query(asked % text, faults=True) == ["Query exceeds maximum of 1000000 values answered"]


@pytest.mark.parametrize("depth", [700, 940, 980, 100_000])
@pytest.mark.parametrize(
    "field", ["mlflowGetRun(input: {runId: $x}) {run", "mlflowSearchRuns(input: {filter: $x}) {runs"]
)
def test_variables_that_are_nested_without_end_are_refused(
    client: TestClient[Litestar], depth: int, field: str
) -> None:
    body = '{"query": "query Q($x: X) {%s {info {runId}}}}", "variables": {"x": %s}}'
    sent = (body % (field, "[" * depth + "]" * depth)).encode()
    told = client.post("/graphql", content=sent, headers={"content-type": "application/json"})
    assert told.status_code == 400 or told.json()["errors"], told.text
    assert told.status_code < 500, told.text
