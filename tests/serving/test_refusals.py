"""What is refused, with which status, and what is said."""

import httpx
import pytest
from predicting import ROW, Service

JSON = {"content-type": "application/json"}


def tensor(name: str, datatype: str, *data: object, shape: list[int] | None = None) -> dict[str, object]:
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": [*data]}


GOOD = [
    tensor("distance", "FP64", 1.0),
    tensor("hour", "INT32", 1),
    tensor("carrier", "BYTES", "AA"),
    tensor("express", "BOOL", True),
]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"rows": [ROW | {"distance": "far"}]}, "rows[0].distance: expected a number or null, found text"),
        ({"rows": [ROW, ROW | {"hour": 7.5}]}, "rows[1].hour: expected a whole number, found 7.5"),
        ({"rows": [ROW | {"hour": 10**30}]}, "rows[0].hour: expected a whole number of 64 bits"),
        ({"rows": [ROW | {"carrier": 3}]}, "rows[0].carrier: expected text or null, found a whole number"),
        ({"rows": [ROW | {"express": "yes"}]}, "rows[0].express: expected true or false or null, found text"),
        ({"rows": [{"distance": 1.0}]}, "rows[0]: the field 'hour' is missing"),
        ({"rows": []}, "rows: there are no rows"),
        ({"rows": ROW}, "rows: expected a list, found an object"),
        ({}, "the field 'rows' is missing"),
        ([], "expected an object, found a list"),
        ({"rows": [ROW], "keyz": ["a"]}, "the field 'keyz' is not known"),
        ({"rows": [ROW], "keys": ["a", "b"]}, "keys: found 2 keys for 1 rows"),
        ({"rows": [ROW], "event_time": "2013-01-01T00:00:00"}, "event_time"),
        # Moments that no program could read from the log.
        ({"rows": [ROW], "event_time": "0001-01-01T00:00:00+14:00"}, "Send one of 1900 to 2200"),
        ({"rows": [ROW], "event_times": ["9999-12-31T23:59:59-14:00"]}, "Send one of 1900 to 2200"),
        ({"rows": [ROW], "event_times": []}, "event_times: found 0 event times for 1 rows"),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit(running: Service, body: object, said: str) -> None:
    answer = httpx.post(f"{running.url}/predict/late", json=body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (GOOD[1:], "the input 'distance' is missing"),
        ([tensor("distance", "BYTES", "far"), *GOOD[1:]], "inputs 'distance': expected the datatype FP64, found 'BYTES'"),
        ([tensor("distance", "FP64", "far"), *GOOD[1:]], "inputs 'distance': data[0]: expected a number or null, found text"),
        ([tensor("distance", "FP64", 1.0, 2.0), *GOOD[1:]], "found 1"),
        ([tensor("distance", "FP64", 1.0, shape=[2]), *GOOD[1:]], "the shape [2] holds 2 values, found 1"),
        ([tensor("distance", "FP64", shape=[0]), *GOOD[1:]], "holds no row"),
        ([tensor("distance", "FP64", 1.0, 2.0, shape=[1, 1, 2]), *GOOD[1:]], "expected the shape [rows] or [rows, 1]"),
        ([tensor("distance", "FP64", 1.0, shape=[-1]), *GOOD[1:]], "holds no row"),
        ([GOOD[0], *GOOD], "two inputs have one name"),
        ([{"name": "distance", "datatype": "FP64", "shape": [1]}, *GOOD[1:]], "it has no data"),
        ([], "the input 'distance' is missing"),
    ],
)  # fmt: skip
def test_tensors_that_do_not_fit(running: Service, inputs: list[object], said: str) -> None:
    answer = httpx.post(f"{running.url}/v2/models/late/infer", json={"inputs": inputs})
    assert answer.status_code == 400
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"null", b"[" * 5000, b'{"rows":[{"distance":1e999}]}', b'{"rows":"\\ud800"}', b"NaN",
     b'{"rows":[{"distance":1,"hour":1,"carrier":"\\ud800","express":true}]}',
     b'{"inputs":[{"name":"distance","shape":[1],"datatype":"FP64","data":[NaN]}]}', b'{"inputs":' + b"[" * 3000],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/predict/late", "/v2/models/late/infer"])
def test_bodies_that_are_no_json(running: Service, path: str, body: bytes) -> None:
    answer = httpx.post(running.url + path, content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_each_refusal_has_the_status_that_http_has_for_it(running: Service) -> None:
    with httpx.Client(base_url=running.url) as client:
        assert client.post("/predict/nobody", json={"rows": [ROW]}).status_code == 404
        assert "Endpoints served: hours" in client.post("/predict/nobody", json={"rows": [ROW]}).json()["fix"]
        assert client.get("/nothing").status_code == 404
        for answer, allowed in ((client.get("/predict/late"), "POST"), (client.post("/v2", json={}), "GET, HEAD")):
            assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
        assert client.post("/predict/late", content=b"x", headers={"content-type": "text/csv"}).status_code == 415
        assert (
            client.post("/predict/late", content=b"x", headers=JSON | {"content-encoding": "gzip"}).status_code == 415
        )
        assert client.post("/predict/late", content=b"x" * (17 << 20), headers=JSON).status_code == 413


def test_a_token_is_asked_for(service: Service) -> None:
    service.token = "secret"
    service.start()
    with httpx.Client(base_url=service.url) as client:
        for headers in ({}, {"authorization": "Bearer secre"}, {"authorization": "secret"}):
            refused = client.post("/predict/late", json={"rows": [ROW]}, headers=headers)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            assert client.get("/metrics", headers=headers).status_code == 401
            assert client.get("/v2/models/late", headers=headers).status_code == 401
        good = {"authorization": "Bearer secret"}
        assert client.post("/predict/late", json={"rows": [ROW]}, headers=good).status_code == 200
        assert client.get("/metrics", headers=good).status_code == 200
        assert client.get("/v2/health/ready").status_code == 200


def test_what_its_sender_made_long_is_said_in_short(running: Service) -> None:
    answer = httpx.post(
        f"{running.url}/v2/models/late/infer", json={"inputs": [tensor("distance", "x" * 10_000_000, 1.0)]}
    )
    assert answer.status_code == 400
    assert len(answer.content) < 10_000
