"""The endpoints of logged models, as they are seen on the wire."""

from typing import Any

import pytest
from asking import Ask

BAD = (400, "INVALID_PARAMETER_VALUE")
ABSENT = (404, "RESOURCE_DOES_NOT_EXIST")


def make(ask: Ask, name: str = "boosted", **more: Any) -> str:
    made = ask("POST", "logged-models", {"experiment_id": "0", "name": name, **more})
    return str(made["model"]["info"]["model_id"])


def test_a_logged_model_is_made_and_finalized(ask: Ask, run: str) -> None:
    params, tags = [{"key": "depth", "value": "3"}], [{"key": "team", "value": "risk"}]
    model = make(ask, source_run_id=run, model_type="tree", params=params, tags=tags)
    told = ask("GET", f"logged-models/{model}")["model"]
    assert told["info"] | {"creation_timestamp_ms": 0, "last_updated_timestamp_ms": 0} == {
        "model_id": model, "experiment_id": "0", "name": "boosted", "model_type": "tree", "source_run_id": run,
        "artifact_uri": f"mlflow-artifacts:/0/models/{model}/artifacts", "status": "LOGGED_MODEL_PENDING",
        "creation_timestamp_ms": 0, "last_updated_timestamp_ms": 0, "tags": tags,
    }  # fmt: skip
    assert told["data"] == {"params": params}
    ready = ask("PATCH", f"logged-models/{model}", {"model_id": model, "status": "LOGGED_MODEL_READY"})
    assert ready["model"]["info"]["status"] == "LOGGED_MODEL_READY"
    failed = ask("PATCH", f"logged-models/{model}", {"model_id": model, "status": 3})
    assert failed["model"]["info"]["status"] == "LOGGED_MODEL_UPLOAD_FAILED"


def test_what_was_measured_on_a_logged_model(ask: Ask, run: str) -> None:
    model = make(ask)
    point = {"key": "auc", "value": 0.9, "timestamp": 5, "step": 1, "dataset_name": "d", "dataset_digest": "1"}
    ask("POST", "runs/log-metric", {"run_id": run, "model_id": model, **point})
    told = ask("GET", f"logged-models/{model}")["model"]["data"]["metrics"]
    assert told == [{**point, "model_id": model, "run_id": run}]
    fitting = {"experiment_ids": ["0"], "filter": "metrics.auc > 0.8", "datasets": [{"dataset_name": "d"}]}
    assert len(ask("POST", "logged-models/search", fitting)["models"]) == 1
    assert ask("POST", "logged-models/search", {**fitting, "datasets": [{"dataset_name": "e"}]}) == {}


def test_tags_and_parameters_of_a_logged_model(ask: Ask) -> None:
    model = make(ask)
    assert ask("PATCH", f"logged-models/{model}/tags", {"tags": [{"key": "a", "value": "1"}]}) == {}
    assert ask("POST", f"logged-models/{model}/params", {"params": [{"key": "p", "value": "1"}]}) == {}
    told = ask("GET", f"logged-models/{model}")["model"]
    assert (told["info"]["tags"], told["data"]["params"]) == (
        [{"key": "a", "value": "1"}],
        [{"key": "p", "value": "1"}],
    )
    assert ask("DELETE", f"logged-models/{model}/tags/a") == {}
    ask("DELETE", f"logged-models/{model}/tags/a", fails=ABSENT)


def test_a_deleted_logged_model_is_shown_to_who_asks_for_it(ask: Ask) -> None:
    model = make(ask)
    assert ask("DELETE", f"logged-models/{model}") == {}
    assert ask("GET", f"logged-models/{model}", fails=ABSENT) == f"Logged model with ID '{model}' not found."
    assert ask("GET", f"logged-models/{model}", allow_deleted="true")["model"]["info"]["model_id"] == model


def test_logged_models_are_searched_page_by_page(ask: Ask) -> None:
    for name in ("a", "b", "c"):
        make(ask, name)
    body = {"experiment_ids": ["0"], "max_results": 2, "order_by": [{"field_name": "name", "ascending": False}]}
    first = ask("POST", "logged-models/search", body)
    rest = ask("POST", "logged-models/search", {**body, "page_token": first["next_page_token"]})
    assert [one["info"]["name"] for one in first["models"] + rest["models"]] == ["c", "b", "a"]
    newest = ask(
        "POST", "logged-models/search", {"experiment_ids": ["0"], "order_by": [{"field_name": "creation_time"}]}
    )
    assert [one["info"]["name"] for one in newest["models"]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "Missing value for required parameter 'experiment_ids'."),
        ({"experiment_ids": [1]}, "Invalid value [1] for parameter 'experiment_ids' supplied:"),
        (
            {"experiment_ids": ["0"], "datasets": [{"dataset_digest": "1"}]},
            "`dataset_name` in the `datasets` clause must be specified.",
        ),
        ({"experiment_ids": ["0"], "order_by": [{"field_name": "foo"}]}, "Invalid order by field name: foo"),
    ],
)
def test_searches_that_can_not_be_are_refused(ask: Ask, body: Any, said: str) -> None:
    assert ask("POST", "logged-models/search", body, fails=BAD).startswith(said)


def test_what_can_not_be_made_is_refused(ask: Ask) -> None:
    assert "'experiment_id'" in ask("POST", "logged-models", {}, fails=BAD)
    assert ask("POST", "logged-models", {"experiment_id": "0", "name": "a/b"}, fails=BAD).startswith(
        "Invalid model name"
    )
    ask("POST", "logged-models", {"experiment_id": "9"}, fails=ABSENT)
    model = make(ask)
    assert "'status'" in ask("PATCH", f"logged-models/{model}", {}, fails=BAD)
    assert "'status'" in ask("PATCH", f"logged-models/{model}", {"status": "DONE"}, fails=BAD)


@pytest.mark.each_database
def test_parameters_of_a_logged_model_do_not_change(ask: Ask) -> None:
    model = make(ask, params=[{"key": "p", "value": "1"}])
    path = f"logged-models/{model}/params"
    assert ask("POST", path, {"model_id": model, "params": [{"key": "p", "value": "1"}]}) == {}
    sent = {"model_id": model, "params": [{"key": "new", "value": "1"}, {"key": "p", "value": "2"}]}
    assert ask("POST", path, sent, fails=BAD) == (
        "Changing param values is not allowed. Params were already logged="
        f"'[{{'key': 'p', 'old_value': '1', 'new_value': '2'}}]' for model ID='{model}'."
    )
    assert ask("GET", f"logged-models/{model}")["model"]["data"]["params"] == [{"key": "p", "value": "1"}]
    twice = [{"key": "d", "value": "1"}, {"key": "d", "value": "2"}]
    assert "Duplicate parameter keys" in ask("POST", path, {"params": twice}, fails=BAD)
    assert "Duplicate parameter keys" in ask(
        "POST", "logged-models", {"experiment_id": "0", "params": twice}, fails=BAD
    )


@pytest.mark.each_database
def test_logged_models_are_filtered_and_sorted_as_clients_know(ask: Ask, run: str) -> None:
    for place, name in enumerate(("a", "b", "c")):
        params = [{"key": "p", "value": str(place)}]
        tags = [{"key": "t", "value": name}]
        more: dict[str, Any] = {"source_run_id": run} if name == "b" else {}
        model = make(ask, name, params=params, tags=tags, **more)
        if place:
            ask("PATCH", f"logged-models/{model}", {"model_id": model, "status": place + 1})

    def named(said: str = "", *orders: str) -> list[str]:
        keys = [{"field_name": order} for order in orders]
        answer = ask("POST", "logged-models/search", {"experiment_ids": ["0"], "filter": said, "order_by": keys})
        return [one["info"]["name"] for one in answer.get("models", [])]

    assert named("params.p IN ('0', '2')") == ["c", "a"]
    assert named("tags.t NOT IN ('a') AND params.p = 1") == ["b"]
    assert named("name = a") == ["a"]
    assert named("lifecycle_stage = 'active'", "status_message", "name") == ["a", "b", "c"]
    for ready in ("'2'", "2", "'READY'", "'LOGGED_MODEL_READY'"):
        assert named(f"status = {ready}") == ["b"]
    assert named("status != '2'") == ["c", "a"]
    assert named("status IN ('1', '3')", "status") == ["a", "c"]
    assert named("source_run_id != 'nobody'", "source_run_id", "name", "name") == ["a", "c", "b"]
