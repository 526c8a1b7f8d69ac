"""Both protocols over real sockets, against what the estimator itself says."""

import uuid
from pathlib import Path

import httpx
import polars as pl
import pytest
from predicting import ROW, Packaged, Service, flights

COLUMNS = [*ROW]


def tensors(frame: pl.DataFrame, **more: object) -> dict[str, object]:
    types = {"distance": "FP64", "hour": "INT64", "carrier": "BYTES", "express": "BOOL", "wind": "FP32"}
    inputs = [
        {"name": name, "shape": [frame.height], "datatype": types[name], "data": frame[name].to_list()}
        for name in frame.columns
    ]
    return {"inputs": inputs, **more}


def test_rows_are_answered_like_the_estimator_does(running: Service, packaged: dict[str, Packaged]) -> None:
    frame = flights(50).select(COLUMNS)
    answer = httpx.post(f"{running.url}/predict/late", json={"rows": frame.to_dicts()})
    assert answer.status_code == 200
    found = answer.json()
    assert [one["probability"] for one in found["predictions"]] == pytest.approx(
        packaged["first"].expected(frame), abs=1e-12
    )
    assert all(one["prediction"] == (one["probability"] > 0.5) for one in found["predictions"])
    assert (found["model"], found["version"]) == ("late", 1)
    ids = [one["id"] for one in found["predictions"]]
    assert ids == sorted(set(ids))
    assert uuid.UUID(ids[0]).version == 7


def test_tensors_are_answered_like_the_estimator_does(running: Service, packaged: dict[str, Packaged]) -> None:
    frame = flights(7).select(COLUMNS)
    answer = httpx.post(f"{running.url}/v2/models/late/infer", json=tensors(frame, id="mine")).json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("late", "1", "mine")
    outputs = {output["name"]: output for output in answer["outputs"]}
    assert outputs["probability"]["data"] == pytest.approx(packaged["first"].expected(frame), abs=1e-12)
    assert outputs["probability"]["shape"] == [7]
    assert outputs["prediction"]["datatype"] == "BOOL"
    assert len(set(outputs["prediction_id"]["data"])) == 7


def test_missing_values_and_unseen_categories(running: Service, packaged: dict[str, Packaged]) -> None:
    rows = [ROW | {"carrier": None}, ROW | {"carrier": "??"}, ROW | {"distance": None, "hour": None, "express": None}]
    frame = pl.DataFrame(
        rows, schema={"distance": pl.Float64, "hour": pl.Int64, "carrier": pl.String, "express": pl.Boolean}
    )
    found = httpx.post(f"{running.url}/predict/late", json={"rows": rows}).json()["predictions"]
    assert [one["probability"] for one in found] == pytest.approx(packaged["first"].expected(frame), abs=1e-12)
    body = tensors(frame)
    outputs = httpx.post(f"{running.url}/v2/models/late/infer", json=body).json()["outputs"]
    assert outputs[0]["data"] == pytest.approx(packaged["first"].expected(frame), abs=1e-12)


def test_regression_and_multiclass(running: Service, packaged: dict[str, Packaged]) -> None:
    frame = flights(3).select("distance", "wind")
    hours = httpx.post(f"{running.url}/predict/hours", json={"rows": frame.to_dicts()}).json()["predictions"]
    assert [one["prediction"] for one in hours] == pytest.approx(packaged["regression"].expected(frame))
    kinds = httpx.post(f"{running.url}/predict/kinds", json={"rows": frame.to_dicts()}).json()["predictions"]
    expected = packaged["multiclass"].expected(frame)
    assert [[*one["probabilities"].values()] for one in kinds] == [pytest.approx(row) for row in expected]
    assert [*kinds[0]["probabilities"]] == ["early", "late", "on time"]
    assert [max(one["probabilities"], key=one["probabilities"].get) for one in kinds] == [
        one["prediction"] for one in kinds
    ]
    matrix = {"name": "features", "shape": [3, 2], "datatype": "FP64", "data": frame.rows()}
    for data in (frame.rows(), [value for row in frame.rows() for value in row]):
        answer = httpx.post(f"{running.url}/v2/models/kinds/infer", json={"inputs": [matrix | {"data": data}]}).json()
        assert answer["outputs"][0]["shape"] == [3, 3]
        assert answer["outputs"][0]["data"] == pytest.approx(expected.ravel())
        assert answer["outputs"][1]["datatype"] == "BYTES"


def test_only_the_outputs_asked_for(running: Service) -> None:
    body = tensors(flights(2).select(COLUMNS), outputs=[{"name": "probability"}])
    answer = httpx.post(f"{running.url}/v2/models/late/infer", json=body).json()
    assert [output["name"] for output in answer["outputs"]] == ["probability"]


def test_a_version_is_asked_by_its_number(running: Service, packaged: dict[str, Packaged]) -> None:
    frame = flights(2).select(COLUMNS)
    answer = httpx.post(f"{running.url}/v2/models/trial/versions/2/infer", json=tensors(frame)).json()
    assert answer["outputs"][0]["data"] == pytest.approx(packaged["second"].expected(frame), abs=1e-12)
    assert httpx.post(f"{running.url}/v2/models/trial/versions/9/infer", json=tensors(frame)).status_code == 404


def test_arms_with_other_inputs_share_an_endpoint(running: Service, packaged: dict[str, Packaged]) -> None:
    frame = flights(1)
    seen = set()
    for key in map(str, range(20)):
        answer = httpx.post(f"{running.url}/predict/wider", json={"rows": frame.to_dicts(), "routing_key": key}).json()
        seen.add(answer["version"])
        made = packaged["first" if answer["version"] == 1 else "wider"]
        assert answer["predictions"][0]["probability"] == pytest.approx(made.expected(frame)[0], abs=1e-12)
    assert seen == {1, 2}


def test_the_canary_gets_its_share_and_keeps_its_callers(running: Service) -> None:
    def version(key: str) -> int:
        answer = httpx_client.post(f"{running.url}/predict/trial", json={"rows": [ROW], "routing_key": key})
        return int(answer.json()["version"])

    with httpx.Client() as httpx_client:
        first = [version(f"caller-{number}") for number in range(300)]
        assert [version(f"caller-{number}") for number in range(300)] == first
    # Five standard deviations of a binomial share.
    assert abs(first.count(2) / 300 - 0.25) < 5 * (0.25 * 0.75 / 300) ** 0.5


def test_what_the_service_says_of_itself(running: Service) -> None:
    assert httpx.get(f"{running.url}/v2").json()["name"] == "kept"
    assert httpx.get(f"{running.url}/v2/health/live").status_code == 200
    assert httpx.get(f"{running.url}/v2/health/ready").status_code == 200
    assert httpx.get(f"{running.url}/v2/models/late/ready").json() == {"name": "late", "ready": True}
    described = httpx.get(f"{running.url}/v2/models/late").json()
    assert described["versions"] == ["1"]
    assert {one["name"]: one["datatype"] for one in described["inputs"]} == {
        "distance": "FP64",
        "hour": "INT64",
        "carrier": "BYTES",
        "express": "BOOL",
    }
    httpx.post(f"{running.url}/predict/late", json={"rows": [ROW]})
    httpx.post(f"{running.url}/predict/late", json={"rows": [{}]})
    text = httpx.get(f"{running.url}/metrics").text
    assert 'kept_requests_total{endpoint="late",role="champion",status="200",version="1"}' in text
    assert 'kept_requests_total{endpoint="late",role="champion",status="400",version="1"}' in text
    assert 'kept_request_latency_seconds_bucket{endpoint="late",le="+Inf",role="champion",version="1"}' in text


def test_it_is_light(running: Service) -> None:
    status = Path(f"/proc/{running.pid}/status").read_text()
    used = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    assert used < 120_000
