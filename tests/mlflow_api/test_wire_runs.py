"""The endpoints of runs and of the histories of metrics, as they are seen on the wire."""

import json
from typing import Any

import pytest
from asking import Ask
from litestar import Litestar
from litestar.testing import TestClient

BAD = (400, "INVALID_PARAMETER_VALUE")
ABSENT = (404, "RESOURCE_DOES_NOT_EXIST")


def data(ask: Ask, run: str) -> Any:
    return ask("GET", "runs/get", run_id=run)["run"]["data"]


def pairs(listed: list[dict[str, str]]) -> dict[str, str]:
    return {one["key"]: one["value"] for one in listed}


def test_a_run_is_made(ask: Ask) -> None:
    tags = [{"key": "mlflow.runName", "value": "first"}, {"key": "mlflow.user", "value": "ada"}]
    made = ask("POST", "runs/create", {"experiment_id": "0", "start_time": "17", "user_id": "ada", "tags": tags})["run"]
    identity = made["info"]["run_id"]
    assert made["info"] == {
        "run_uuid": identity, "run_id": identity, "experiment_id": "0", "run_name": "first", "user_id": "ada",
        "status": "RUNNING", "start_time": 17, "lifecycle_stage": "active",
        "artifact_uri": f"mlflow-artifacts:/0/{identity}/artifacts",
    }  # fmt: skip
    assert made["inputs"] == {}
    found = ask("GET", "runs/get", run_uuid=identity)["run"]
    assert found == {**made, "outputs": {}}


def test_names_that_contradict_are_refused(ask: Ask) -> None:
    body = {"experiment_id": "0", "run_name": "a", "tags": [{"key": "mlflow.runName", "value": "b"}]}
    assert "with different values (run_name='a', mlflow.runName='b')" in ask("POST", "runs/create", body, fails=BAD)


def test_what_is_not_there_is_told(ask: Ask) -> None:
    assert ask("GET", "runs/get", fails=ABSENT, run_id="x") == "Run with id=x not found"
    assert "'run_id'" in ask("GET", "runs/get", fails=BAD)
    ask("POST", "runs/create", {"experiment_id": "77"}, fails=ABSENT)
    ask("POST", "runs/log-metric", {"run_id": "x", "key": "k", "value": 1, "timestamp": 1}, fails=ABSENT)


def test_a_run_is_changed_deleted_and_restored(ask: Ask, run: str) -> None:
    ended = ask("POST", "runs/update", {"run_id": run, "status": "FINISHED", "end_time": "1700000000005"})["run_info"]
    assert (ended["status"], ended["end_time"]) == ("FINISHED", 1_700_000_000_005)
    assert (
        ask("POST", "runs/update", {"run_uuid": run, "status": 5, "run_name": "new"})["run_info"]["status"] == "KILLED"
    )
    assert pairs(data(ask, run)["tags"])["mlflow.runName"] == "new"
    assert "'status'" in ask("POST", "runs/update", {"run_id": run, "status": "GONE"}, fails=BAD)
    assert ask("POST", "runs/delete", {"run_id": run}) == {}
    said = ask("POST", "runs/set-tag", {"run_id": run, "key": "a", "value": "b"}, fails=BAD)
    assert said == f"The run {run} must be in the 'active' state. Current state is deleted."
    assert len(ask("POST", "runs/search", {"experiment_ids": ["0"], "run_view_type": "DELETED_ONLY"})["runs"]) == 1
    assert ask("POST", "runs/search", {"experiment_ids": ["0"]}) == {}
    assert ask("POST", "runs/restore", {"run_id": run}) == {}


def test_points_are_kept_exactly(ask: Ask, run: str) -> None:
    for step, value in enumerate(["NaN", "Infinity", "-Infinity", 1, "2.5"]):
        point = {"run_id": run, "key": f"m{step}", "value": value, "timestamp": str(step), "step": str(step)}
        assert ask("POST", "runs/log-metric", point) == {}
    told = {one["key"]: one["value"] for one in data(ask, run)["metrics"]}
    assert told == {"m0": "NaN", "m1": "Infinity", "m2": "-Infinity", "m3": 1.0, "m4": 2.5}
    assert data(ask, run)["metrics"][0] == {"key": "m0", "value": "NaN", "timestamp": 0, "step": 0}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"run_id": None}, "Missing value for required parameter 'run_id'."),
        ({"run_id": 31}, "Invalid value 31 for parameter 'run_id' supplied:  Hint: Value was of type 'int'."),
        ({"key": ""}, "Missing value for required parameter 'key'."),
        ({"key": 31}, "Invalid value 31 for parameter 'key' supplied:"),
        ({"value": None}, "Missing value for required parameter 'value'."),
        ({"value": "dummy"}, "Invalid value \"dummy\" for parameter 'value' supplied:"),
        ({"timestamp": None}, "Missing value for required parameter 'timestamp'."),
        ({"timestamp": "dummy"}, "Invalid value \"dummy\" for parameter 'timestamp' supplied:"),
        ({"timestamp": -1}, "Invalid value -1 for parameter 'timestamp' supplied: metric 'm' (value=1.0). Timestamp"),
        ({"step": "dummy"}, "Invalid value \"dummy\" for parameter 'step' supplied:"),
        ({"key": "a#b"}, "Invalid value \"a#b\" for parameter 'name' supplied: Names may only contain alphanumerics,"),
        ({"key": "../a"}, "Invalid value \"../a\" for parameter 'name' supplied: Names may be treated as files"),
        ({"key": "k" * 251}, "'Metric name' exceeds the maximum length of 250 characters"),
    ],
)
def test_points_that_can_not_be_are_refused(ask: Ask, run: str, change: Any, said: str) -> None:
    point = {"run_id": run, "key": "m", "value": 1.0, "timestamp": 1, "step": 0, **change}
    assert ask("POST", "runs/log-metric", point, fails=BAD).startswith(said)


def test_a_parameter_does_not_change(ask: Ask, run: str) -> None:
    sent = {"run_id": run, "key": "p", "value": "1"}
    ask("POST", "runs/log-parameter", sent)
    ask("POST", "runs/log-parameter", sent)
    assert ask("POST", "runs/log-parameter", {**sent, "value": "2"}, fails=BAD) == (
        "Changing param values is not allowed. Param with key='p' was already logged with value='1' "
        f"for run ID='{run}'. Attempted logging new value '2'."
    )
    said = ask("POST", "runs/log-batch", {"run_id": run, "params": [{"key": "p", "value": "2"}]}, fails=BAD)
    assert "Params were already logged='[{'key': 'p', 'old_value': '1', 'new_value': '2'}]'" in said


def test_long_values_are_cut_as_clients_expect(ask: Ask, run: str) -> None:
    ask("POST", "runs/log-parameter", {"run_id": run, "key": "p", "value": "x" * 6_001})
    ask("POST", "runs/set-tag", {"run_id": run, "key": "t", "value": "x" * 8_001})
    told = data(ask, run)
    assert (len(pairs(told["params"])["p"]), len(pairs(told["tags"])["t"])) == (6_000, 8_000)


def test_tags_of_a_run(ask: Ask, run: str) -> None:
    ask("POST", "runs/set-tag", {"run_uuid": run, "key": "t", "value": "1"})
    ask("POST", "runs/set-tag", {"run_id": run, "key": "t"})
    assert pairs(data(ask, run)["tags"])["t"] == ""
    ask("POST", "runs/delete-tag", {"run_id": run, "key": "t"})
    said = ask("POST", "runs/delete-tag", {"run_id": run, "key": "t"}, fails=ABSENT)
    assert said == f"No tag with name: t in run with id {run}"


def test_a_batch_is_kept_whole_or_not_at_all(ask: Ask, run: str) -> None:
    batch = {
        "run_id": run,
        "metrics": [{"key": "m", "value": step, "timestamp": step, "step": step} for step in range(3)],
        "params": [{"key": "p", "value": "1"}],
        "tags": [{"key": "t", "value": "1"}],
    }
    assert ask("POST", "runs/log-batch", batch) == {}
    bad = {**batch, "metrics": [{"key": "n", "value": 1, "timestamp": 1}], "params": [{"key": "p", "value": "2"}]}
    ask("POST", "runs/log-batch", bad, fails=BAD)
    assert [one["key"] for one in data(ask, run)["metrics"]] == ["m"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"run_id": None}, "Missing value for required parameter 'run_id'."),
        ({"run_id": "../x"}, "Invalid value \"../x\" for parameter 'run_id' supplied."),
        ({"metrics": "foo"}, "Invalid value \"foo\" for parameter 'metrics' supplied:"),
        ({"metrics": [{"key": "a", "value": 1}]}, "Missing value for required parameter 'metrics[0].timestamp'."),
        ({"params": [{"value": "1"}]}, "Missing value for required parameter 'params[0].key'."),
        ({"tags": [{"key": "a"}, {}]}, "Missing value for required parameter 'tags[1].key'."),
        (
            {"metrics": [{"key": "ok", "value": 1, "timestamp": 1}, {"key": "#", "value": 1, "timestamp": 1}]},
            "Invalid value \"#\" for parameter 'metrics[1].name' supplied: Names may only",
        ),
        ({"params": [{"key": "#"}]}, "Invalid value \"#\" for parameter 'params[0].key' supplied: Names may only"),
        ({"tags": [{"key": "k" * 251}]}, "'tags[0].key' exceeds the maximum length of 250 characters"),
        ({"params": [{"key": "d"}, {"key": "d"}]}, "Duplicate parameter keys have been submitted: ['d']."),
        (
            {"metrics": [{"key": "a", "value": 1, "timestamp": 1}] * 1_001},
            "A batch logging request can contain at most 1000 metrics. Got 1001 metrics. Please split up metrics",
        ),
        (
            {"params": [{"key": str(number)} for number in range(101)]},
            "A batch logging request can contain at most 100 params. Got 101 params.",
        ),
        (
            {
                "metrics": [{"key": "a", "value": 1, "timestamp": 1}] * 950,
                "tags": [{"key": str(number)} for number in range(51)],
            },
            "A batch logging request can contain at most 1000 metrics, params, and tags. Got 1001",
        ),
    ],
)
def test_batches_that_can_not_be_are_refused(ask: Ask, run: str, change: Any, said: str) -> None:
    assert ask("POST", "runs/log-batch", {"run_id": run, **change}, fails=BAD).startswith(said)
    assert "metrics" not in data(ask, run)


def test_what_a_run_read_and_made(ask: Ask, run: str) -> None:
    model = ask("POST", "logged-models", {"experiment_id": "0", "name": "m"})["model"]["info"]["model_id"]
    dataset = {"name": "d", "digest": "1", "source_type": "local", "source": "{}", "schema": "[]"}
    tags = [{"key": "mlflow.data.context", "value": "train"}]
    read = {"run_id": run, "datasets": [{"dataset": dataset, "tags": tags}], "models": [{"model_id": model}]}
    assert ask("POST", "runs/log-inputs", read) == {}
    assert ask("POST", "runs/outputs", {"run_id": run, "models": [{"model_id": model, "step": "3"}]}) == {}
    told = ask("GET", "runs/get", run_id=run)["run"]
    assert told["inputs"] == {
        "dataset_inputs": [{"dataset": dataset, "tags": tags}],
        "model_inputs": [{"model_id": model}],
    }
    assert told["outputs"] == {"model_outputs": [{"model_id": model, "step": 3}]}
    assert "'models'" in ask("POST", "runs/outputs", {"run_id": run}, fails=BAD)
    long = {"run_id": run, "datasets": [{"dataset": {**dataset, "name": "d" * 501}}]}
    assert ask("POST", "runs/log-inputs", long, fails=BAD) == "'name' exceeds the maximum length of 500 characters"


def test_older_clients_note_models_in_a_tag(ask: Ask, run: str) -> None:
    model = {"artifact_path": "model", "flavors": {}, "run_id": run, "utc_time_created": "now"}
    for _ in range(2):
        ask("POST", "runs/log-model", {"run_id": run, "model_json": json.dumps(model)})
    assert json.loads(pairs(data(ask, run)["tags"])["mlflow.log-model.history"]) == [model, model]
    said = ask("POST", "runs/log-model", {"run_id": run, "model_json": "{}"}, fails=BAD)
    assert said.startswith("Model json is missing mandatory fields:")
    assert "not a valid JSON" in ask("POST", "runs/log-model", {"run_id": run, "model_json": "["}, fails=BAD)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("", ["c", "b", "a"]),
        ("status = 'RUNNING'", ["c"]),
        ("attributes.status != 'RUNNING'", ["b", "a"]),
        ("status IN ('KILLED', 'FINISHED')", ["b", "a"]),
        ("status NOT IN ('KILLED')", ["c", "a"]),
        ("status LIKE 'KILL%'", ["b"]),
        ("status ILIKE '%ing'", ["c"]),
        ("status = 'running'", []),
        ("metrics.m > 1 AND params.p LIKE '%'", ["c", "b"]),
        ("tags.mlflow.runName = 'a'", ["a"]),
    ],
)
def test_runs_are_searched(ask: Ask, said: str, found: list[str]) -> None:
    for place, (name, status) in enumerate([("a", "FINISHED"), ("b", "KILLED"), ("c", "RUNNING")]):
        made = ask("POST", "runs/create", {"experiment_id": "0", "run_name": name, "start_time": place + 1})
        run = made["run"]["info"]["run_id"]
        ask("POST", "runs/log-metric", {"run_id": run, "key": "m", "value": place + 1, "timestamp": 1})
        ask("POST", "runs/log-parameter", {"run_id": run, "key": "p", "value": name})
        ask("POST", "runs/update", {"run_id": run, "status": status})
    answer = ask("POST", "runs/search", {"experiment_ids": ["0"], "filter": said})
    assert [one["info"]["run_name"] for one in answer.get("runs", [])] == found


def test_a_search_goes_on_where_its_page_ended(ask: Ask) -> None:
    for start in range(5):
        ask("POST", "runs/create", {"experiment_id": "0", "start_time": start + 1})
    body = {"experiment_ids": ["0"], "max_results": 2, "order_by": ["attributes.start_time ASC"]}
    starts: list[int] = []
    token = None
    for _ in range(3):
        page = ask("POST", "runs/search", {**body, "page_token": token})
        starts += [one["info"]["start_time"] for one in page["runs"]]
        token = page.get("next_page_token")
    assert (starts, token) == ([1, 2, 3, 4, 5], None)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"max_results": 50_001}, "Invalid value 50001 for parameter 'max_results' supplied:  Hint: Value was of type"),
        ({"max_results": 0}, "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer"),
        ({"experiment_ids": "0"}, "Invalid value \"0\" for parameter 'experiment_ids' supplied:"),
        ({"order_by": [1]}, "Invalid value [1] for parameter 'order_by' supplied:  Hint: Value was of type 'list'."),
        ({"filter": 3}, "Invalid value 3 for parameter 'filter' supplied:"),
        ({"filter": "foo"}, "Invalid clause(s) in filter string: 'foo'"),
    ],
)
def test_searches_that_can_not_be_are_refused(ask: Ask, body: Any, said: str) -> None:
    assert ask("POST", "runs/search", {"experiment_ids": ["0"], **body}, fails=BAD).startswith(said)


def test_the_history_of_a_metric(ask: Ask, run: str) -> None:
    points = [{"key": "m", "value": step / 2, "timestamp": 10 + step, "step": step} for step in range(5)]
    ask("POST", "runs/log-batch", {"run_id": run, "metrics": points})
    assert ask("GET", "metrics/get-history", run_id=run, metric_key="m") == {"metrics": points}
    first = ask("GET", "metrics/get-history", run_id=run, metric_key="m", max_results="3")
    rest = ask(
        "GET", "metrics/get-history", run_id=run, metric_key="m", max_results="3", page_token=first["next_page_token"]
    )
    assert first["metrics"] + rest["metrics"] == points
    assert "next_page_token" not in rest
    assert ask("GET", "metrics/get-history", run_id=run, metric_key="other") == {}
    assert ask("GET", "metrics/get-history", run_id="nobody", metric_key="m") == {}
    assert "'metric_key'" in ask("GET", "metrics/get-history", fails=BAD, run_id=run)
    said = ask("GET", "metrics/get-history", fails=BAD, run_id=run, metric_key="m", max_results="0")
    assert said == "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer."


def test_histories_of_several_runs(ask: Ask, run: str) -> None:
    points = [{"key": "m", "value": float(step), "timestamp": step, "step": step} for step in range(20)]
    ask("POST", "runs/log-batch", {"run_id": run, "metrics": points})
    of_run = [{**point, "run_id": run} for point in points]
    bulk = "metrics/get-history-bulk"
    assert ask("GET", bulk, root="/ajax-api/2.0/mlflow/", run_id=[run], metric_key="m") == {"metrics": of_run}
    sampled = ask("GET", f"{bulk}-interval", run_ids=[run], metric_key="m", max_results="5")["metrics"]
    assert len(sampled) <= 7
    assert (sampled[0], sampled[-1]) == (of_run[0], of_run[-1])
    few = ask("GET", f"{bulk}-interval", run_ids=[run], metric_key="m", start_step="3", end_step="5")["metrics"]
    assert few == of_run[3:6]
    assert ask("GET", f"{bulk}-interval", run_ids=["nobody"], metric_key="m") == {}


@pytest.mark.parametrize(
    ("path", "params", "said"),
    [
        ("bulk", {"metric_key": "m"}, "GetMetricHistoryBulk request must specify at least one run_id."),
        ("bulk", {"run_id": "a"}, "GetMetricHistoryBulk request must specify a metric_key."),
        (
            "bulk",
            {"run_id": ["a"] * 101, "metric_key": "m"},
            "GetMetricHistoryBulk request cannot specify more than 100",
        ),
        ("bulk-interval", {"metric_key": "m"}, "Missing value for required parameter 'run_ids'."),
        ("bulk-interval", {"run_ids": "a"}, "Missing value for required parameter 'metric_key'."),
        ("bulk-interval", {"run_ids": ["a"] * 101, "metric_key": "m"}, "GetMetricHistoryBulkInterval request must"),
        ("bulk-interval", {"run_ids": "a", "metric_key": "m", "max_results": 0}, "max_results must be between 1 and"),
        ("bulk-interval", {"run_ids": "a", "metric_key": "m", "start_step": 1}, "If either start step or end step are"),
        (
            "bulk-interval",
            {"run_ids": "a", "metric_key": "m", "start_step": 2, "end_step": 1},
            "end_step must be greater than start_step. Found start_step=2 and end_step=1.",
        ),
    ],
)
def test_histories_that_can_not_be_are_refused(ask: Ask, path: str, params: Any, said: str) -> None:
    assert ask("GET", f"metrics/get-history-{path}", fails=BAD, **params).startswith(said)


def test_a_body_is_json(client: TestClient[Litestar], run: str) -> None:
    path = "/api/2.0/mlflow/runs/log-parameter"
    refused = client.post(path, content=b"x=1", headers={"content-type": "application/x-www-form-urlencoded"})
    assert refused.status_code == 400
    assert refused.json()["message"] == "Bad Request. Content-Type must be one of ['application/json']."
    twice = json.dumps(json.dumps({"run_id": run, "key": "p", "value": "1"}))
    kept = client.post(path, content=twice, headers={"content-type": "application/json; charset=utf-8"})
    assert (kept.status_code, kept.json()) == (200, {})


def test_fields_may_be_spelled_in_camel_case(ask: Ask) -> None:
    made = ask("POST", "runs/create", {"experimentId": "0", "runName": "camel", "startTime": 3})["run"]["info"]
    assert (made["run_name"], made["start_time"]) == ("camel", 3)
    point = {"key": "m", "value": 1, "timestamp": 1, "datasetName": "d", "datasetDigest": "1"}
    ask("POST", "runs/log-batch", {"runId": made["run_id"], "metrics": [point]})
    assert [one["key"] for one in data(ask, made["run_id"])["metrics"]] == ["m"]
    both = {"experimentId": "0", "experiment_id": "0"}
    said = ask("POST", "runs/create", both, fails=BAD)
    assert said == "Request specifies both 'experiment_id' and 'experimentId'; provide only one of them."
    dataset = {"name": "d", "digest": "1", "source_type": "a", "sourceType": "b", "source": "{}"}
    said = ask("POST", "runs/log-inputs", {"run_id": made["run_id"], "datasets": [{"dataset": dataset}]}, fails=BAD)
    assert "both 'source_type' and 'sourceType'" in said


def test_an_experiment_is_named_by_a_whole_number(ask: Ask) -> None:
    for wrong in ("abc", "1.5"):
        said = f"Invalid experiment ID '{wrong}'. Experiment ID must be a valid integer."
        assert ask("POST", "runs/create", {"experiment_id": wrong}, fails=BAD) == said
        assert ask("POST", "logged-models", {"experiment_id": wrong}, fails=BAD) == said
        assert ask("POST", "runs/search", {"experiment_ids": [wrong]}, fails=BAD) == said
    assert ask("POST", "runs/search", {"experiment_ids": ["-1"]}) == {}


def test_a_run_begins_with_tags_of_any_name(ask: Ask) -> None:
    made = ask("POST", "runs/create", {"experiment_id": "0", "run_name": "a", "tags": [{"key": "a#b", "value": "1"}]})
    assert pairs(made["run"]["data"]["tags"]) == {"a#b": "1", "mlflow.runName": "a"}
    run = made["run"]["info"]["run_id"]
    assert "Names may only" in ask("POST", "runs/set-tag", {"run_id": run, "key": "a#b", "value": "2"}, fails=BAD)


def test_a_run_keeps_its_name_when_it_is_told_to_have_none(ask: Ask, run: str) -> None:
    ask("POST", "runs/set-tag", {"run_id": run, "key": "mlflow.runName", "value": "kept"})
    ask("POST", "runs/set-tag", {"run_id": run, "key": "mlflow.runName", "value": ""})
    ask("POST", "runs/log-batch", {"run_id": run, "tags": [{"key": "mlflow.runName", "value": ""}]})
    ask("POST", "runs/update", {"run_id": run, "run_name": ""})
    told = ask("GET", "runs/get", run_id=run)["run"]
    assert (told["info"]["run_name"], pairs(told["data"]["tags"])["mlflow.runName"]) == ("kept", "kept")


@pytest.mark.each_database
def test_points_are_measured_on_logged_models_that_are_there(ask: Ask, run: str) -> None:
    point = {"key": "m", "value": 1, "timestamp": 1, "model_id": "m-none"}
    assert ask("POST", "runs/log-metric", {"run_id": run, **point}, fails=ABSENT) == (
        "Logged model with ID 'm-none' not found."
    )
    ask("POST", "runs/log-batch", {"run_id": run, "metrics": [point]}, fails=ABSENT)
    for half in ({"dataset_name": "d"}, {"dataset_digest": "1"}):
        said = "Both dataset_name and dataset_digest must be provided if one is provided"
        half_told = {"key": "m", "value": 1, "timestamp": 1, **half}
        assert ask("POST", "runs/log-metric", {"run_id": run, **half_told}, fails=BAD) == said
        assert ask("POST", "runs/log-batch", {"run_id": run, "metrics": [half_told]}, fails=BAD) == said
    assert "metrics" not in data(ask, run)


def test_of_a_batch_its_elements_are_looked_at_first(ask: Ask, run: str) -> None:
    points = [{"key": "a", "value": 1, "timestamp": 1}] * 1_001
    said = ask("POST", "runs/log-batch", {"run_id": run, "metrics": points, "params": [{"key": "#"}]}, fails=BAD)
    assert said.startswith("Invalid value \"#\" for parameter 'params[0].key' supplied")
    twice = [{"key": "d"}, {"key": "d"}, {"key": "#"}]
    said = ask("POST", "runs/log-batch", {"run_id": run, "params": twice}, fails=BAD)
    assert said.startswith("Invalid value \"#\" for parameter 'params[2].key' supplied")


@pytest.mark.each_database
def test_runs_are_sorted_by_the_words_that_clients_have_for_their_states(ask: Ask) -> None:
    words = ["SCHEDULED", "RUNNING", "KILLED", "FINISHED", "FAILED"]
    for place, word in enumerate(words):
        made = ask("POST", "runs/create", {"experiment_id": "0", "start_time": place + 1})
        ask("POST", "runs/update", {"run_id": made["run"]["info"]["run_id"], "status": word})
    for order, expected in (("status", sorted(words)), ("attributes.status DESC", sorted(words, reverse=True))):
        found = ask("POST", "runs/search", {"experiment_ids": ["0"], "order_by": [order]})["runs"]
        assert [one["info"]["status"] for one in found] == expected


@pytest.mark.each_database
def test_a_time_that_no_clock_shows_is_compared_too(ask: Ask, run: str) -> None:
    for said, found in (
        ("start_time < 99999999999999999999", 1),
        ("start_time > 1e300", 0),
        ("start_time > -1e300", 1),
    ):
        answer = ask("POST", "runs/search", {"experiment_ids": ["0"], "filter": said})
        assert [one["info"]["run_id"] for one in answer.get("runs", [])] == [run] * found


@pytest.mark.each_database
def test_a_sample_is_the_first_of_each_of_so_many_buckets(ask: Ask, run: str) -> None:
    points = [{"key": "m", "value": step, "timestamp": step, "step": step} for step in range(20)]
    ask("POST", "runs/log-batch", {"run_id": run, "metrics": points})
    asked = {"run_ids": ["nobody", run], "metric_key": "m"}
    for most, steps in ((1, [19]), (2, [0, 19]), (3, [0, 7, 19]), (7, [0, 3, 6, 9, 12, 15, 19])):
        found = ask("GET", "metrics/get-history-bulk-interval", **asked, max_results=most)["metrics"]
        assert [one["step"] for one in found] == steps


def test_pages_of_a_history_may_be_asked_for_larger_than_they_get(ask: Ask, run: str) -> None:
    ask("POST", "runs/log-metric", {"run_id": run, "key": "m", "value": 1, "timestamp": 1})
    assert len(ask("GET", "metrics/get-history", run_id=run, metric_key="m", max_results=9_999_999)["metrics"]) == 1
    assert ask("GET", "metrics/get-history-bulk", run_id=run, metric_key="m", max_results=0) == {"metrics": []}
