"""The endpoints of experiments, as they are seen on the wire."""

from pathlib import Path
from typing import Any

import pytest
from asking import Ask

MISSING = "See the API docs for more information about request parameters."


def make(ask: Ask, name: str = "churn", **more: Any) -> str:
    return str(ask("POST", "experiments/create", {"name": name, **more})["experiment_id"])


def test_the_default_experiment_is_there(ask: Ask) -> None:
    found = ask("GET", "experiments/get", experiment_id="0")["experiment"]
    assert found["name"] == "Default"
    assert found["artifact_location"] == "mlflow-artifacts:/0"
    assert set(found) == {
        "experiment_id", "name", "artifact_location", "lifecycle_stage", "last_update_time", "creation_time",
        "workspace",
    }  # fmt: skip
    assert isinstance(found["creation_time"], int)


def test_an_experiment_is_made_and_found(ask: Ask) -> None:
    number = make(ask, tags=[{"key": "team", "value": "risk"}, {"key": "empty"}])
    assert number == "1"
    by_name = ask("GET", "experiments/get-by-name", experiment_name="churn")
    assert by_name == ask("GET", "experiments/get", experiment_id=number)
    tags = by_name["experiment"]["tags"]
    assert tags == [{"key": "empty", "value": ""}, {"key": "team", "value": "risk"}]


def test_the_pages_of_mlflow_ask_elsewhere(ask: Ask) -> None:
    assert ask("GET", "experiments/get", root="/ajax-api/2.0/mlflow/", experiment_id="0")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, f"Missing value for required parameter 'name'. {MISSING}"),
        ({"name": ""}, f"Missing value for required parameter 'name'. {MISSING}"),
        ({"name": None}, f"Missing value for required parameter 'name'. {MISSING}"),
        ({"name": 5}, f"Invalid value 5 for parameter 'name' supplied:  Hint: Value was of type 'int'. {MISSING}"),
        ({"name": "x" * 501}, "'name' exceeds the maximum length of 500 characters"),
        (
            {"name": "a", "artifact_location": "s3://b/c#d"},
            "'artifact_location' URL can't include fragments or params.",
        ),
        ({"name": "a", "artifact_location": "runs:/b"}, "Artifact location cannot be a runs:/ URI. Given: 'runs:/b'"),
    ],
)
def test_what_can_not_be_made_is_refused(ask: Ask, body: Any, said: str) -> None:
    assert ask("POST", "experiments/create", body, fails=(400, "INVALID_PARAMETER_VALUE")) == said


def test_a_name_is_given_once(ask: Ask) -> None:
    make(ask)
    said = ask("POST", "experiments/create", {"name": "churn"}, fails=(400, "RESOURCE_ALREADY_EXISTS"))
    assert said == "Experiment(name=churn) already exists."


def test_what_is_not_there_is_told(ask: Ask) -> None:
    absent = (404, "RESOURCE_DOES_NOT_EXIST")
    assert ask("GET", "experiments/get", fails=absent, experiment_id="7") == "No Experiment with id=7 exists"
    said = ask("GET", "experiments/get-by-name", fails=absent, experiment_name="x")
    assert said == "Could not find experiment with name 'x'"
    said = ask("GET", "experiments/get", fails=(400, "INVALID_PARAMETER_VALUE"), experiment_id="abc")
    assert said == "Invalid experiment ID 'abc'. Experiment ID must be a valid integer."
    assert "'experiment_id'" in ask("GET", "experiments/get", fails=(400, "INVALID_PARAMETER_VALUE"))


def test_an_experiment_is_renamed_deleted_and_restored(ask: Ask) -> None:
    number = {"experiment_id": make(ask)}
    assert ask("POST", "experiments/update", {**number, "new_name": "stay"}) == {}
    assert ask("POST", "experiments/delete", number) == {}
    assert ask("GET", "experiments/get", **number)["experiment"]["lifecycle_stage"] == "deleted"
    said = ask("POST", "experiments/update", {**number, "new_name": "go"}, fails=(400, "INVALID_STATE"))
    assert said == "Cannot rename a non-active experiment."
    said = ask("POST", "runs/create", number, fails=(400, "INVALID_PARAMETER_VALUE"))
    assert said == "The experiment 1 must be in the 'active' state. Current state is deleted."
    ask("POST", "experiments/delete", number, fails=(404, "RESOURCE_DOES_NOT_EXIST"))
    assert ask("POST", "experiments/restore", number) == {}
    assert ask("GET", "experiments/get", **number)["experiment"]["name"] == "stay"


def test_a_taken_name_is_not_given_again(ask: Ask) -> None:
    make(ask)
    number = make(ask, "stay")
    body = {"experiment_id": number, "new_name": "churn"}
    ask("POST", "experiments/update", body, fails=(400, "RESOURCE_ALREADY_EXISTS"))


def test_tags_of_an_experiment(ask: Ask) -> None:
    tag = {"experiment_id": make(ask), "key": "team"}
    ask("POST", "experiments/set-experiment-tag", {**tag, "value": "risk"})
    found = ask("GET", "experiments/get", experiment_id=tag["experiment_id"])
    assert found["experiment"]["tags"] == [{"key": "team", "value": "risk"}]
    ask("POST", "experiments/delete-experiment-tag", tag)
    said = ask("POST", "experiments/delete-experiment-tag", tag, fails=(404, "RESOURCE_DOES_NOT_EXIST"))
    assert said == "No tag with name: team in experiment with id 1"
    bad = {**tag, "value": "x" * 20_001}
    said = ask("POST", "experiments/set-experiment-tag", bad, fails=(400, "INVALID_PARAMETER_VALUE"))
    assert said == "'value' exceeds the maximum length of 20000 characters"


def test_experiments_are_searched_page_by_page(ask: Ask) -> None:
    for name in ("a", "b", "c"):
        make(ask, name)
    first = ask(
        "POST", "experiments/search", {"max_results": "2", "order_by": ["name DESC"], "filter": "name != 'Default'"}
    )
    assert [one["name"] for one in first["experiments"]] == ["c", "b"]
    rest = ask(
        "GET", "experiments/search", max_results="2", order_by=["name DESC"], filter="name != 'Default'",
        page_token=first["next_page_token"],
    )  # fmt: skip
    assert [one["name"] for one in rest["experiments"]] == ["a"]
    assert "next_page_token" not in rest
    assert ask("POST", "experiments/search", {"max_results": 5, "view_type": "DELETED_ONLY"}) == {}
    assert len(ask("POST", "experiments/search", {"max_results": 5, "view_type": 3})["experiments"]) == 4


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer"),
        ({"max_results": 50_001}, "Invalid value 50001 for parameter 'max_results' supplied. It must be at most 50000"),
        ({"max_results": 5, "page_token": "x"}, "Invalid page token, could not base64-decode"),
        ({"max_results": 5, "view_type": "SOME"}, "Invalid value \"SOME\" for parameter 'view_type' supplied:"),
        ({"max_results": 5, "order_by": "name"}, "Invalid value \"name\" for parameter 'order_by' supplied:"),
    ],
)
def test_searches_that_can_not_be_are_refused(ask: Ask, body: Any, said: str) -> None:
    assert ask("POST", "experiments/search", body, fails=(400, "INVALID_PARAMETER_VALUE")).startswith(said)


def test_datasets_that_runs_of_an_experiment_read(ask: Ask, run: str) -> None:
    dataset = {"name": "d", "digest": "1", "source_type": "local", "source": "{}"}
    tags = [{"key": "mlflow.data.context", "value": "train"}]
    ask("POST", "runs/log-inputs", {"run_id": run, "datasets": [{"dataset": dataset, "tags": tags}]})
    # Its client leaves a slash out.
    found = ask("POST", "experiments/search-datasets", {"experiment_ids": ["0"]}, root="/api/2.0mlflow/")
    assert found["dataset_summaries"] == [{"experiment_id": "0", "name": "d", "digest": "1", "context": "train"}]
    ask("POST", "experiments/search-datasets", {"experiment_ids": []}, fails=(400, "INVALID_PARAMETER_VALUE"))


def test_where_files_stand_is_kept_as_it_is_sent(ask: Ask) -> None:
    for place, (sent, kept) in enumerate(
        [
            ("s3://b/k;v?x=1", "s3://b/k;v?x=1"),
            ("mlflow-artifacts:/a", "mlflow-artifacts:/a"),
            ("/whole/path", "/whole/path"),
            ("my/path", (Path.cwd() / "my/path").as_posix()),
            ("file:my/path", f"file://{(Path.cwd() / 'my/path').as_posix()}"),
        ]
    ):
        number = make(ask, f"e{place}", artifact_location=sent)
        assert ask("GET", "experiments/get", experiment_id=number)["experiment"]["artifact_location"] == kept
    bad = (400, "INVALID_PARAMETER_VALUE")
    body = {"name": "x", "artifact_location": "s3://b/k?x=%2e%2e/y"}
    assert ask("POST", "experiments/create", body, fails=bad) == "Invalid query string"


def test_numbers_of_experiments_are_read_as_numbers(ask: Ask) -> None:
    assert ask("GET", "experiments/get", experiment_id=" 00")["experiment"]["name"] == "Default"
    absent = (404, "RESOURCE_DOES_NOT_EXIST")
    assert ask("GET", "experiments/get", fails=absent, experiment_id="-1") == "No Experiment with id=-1 exists"


def test_a_key_to_sort_by_may_come_again(ask: Ask) -> None:
    make(ask, "a")
    found = ask("POST", "experiments/search", {"max_results": 5, "order_by": ["name", "name DESC"]})
    assert [one["name"] for one in found["experiments"]] == ["Default", "a"]
