"""Columns, and the forms that MLflow's clients send."""

import json

import httpx
import msgspec
import pytest
from predicting import ROW, Packaged, Service, flights

FRAME = flights(6).select([*ROW])
SPLIT = {"columns": FRAME.columns, "data": [list(row) for row in FRAME.rows()]}
TURNED = FRAME.select(FRAME.columns[::-1])
CSV = "\n".join([",".join(FRAME.columns), *(",".join(map(str, row)) for row in FRAME.rows())])


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": SPLIT},
        {"dataframe_split": SPLIT | {"index": [9, 8, 7, 6, 5, 4]}, "params": {"temperature": 1}},
        {"dataframe_split": {"columns": TURNED.columns, "data": TURNED.rows()}},
        {"dataframe_records": FRAME.to_dicts()},
        {"instances": FRAME.to_dicts()},
        {"instances": FRAME.rows()},
        {"inputs": FRAME.to_dict(as_series=False)},
        {"inputs": FRAME.rows(), "params": {"routing_key": "a", "keys": [1, 2, 3, 4, 5, 6]}},
    ],
)
def test_what_mlflow_sends(running: Service, packaged: dict[str, Packaged], body: dict[str, object]) -> None:
    answer = httpx.post(f"{running.url}/invocations/late", json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    expected = packaged["first"].expected(FRAME)
    assert found["probability"] == pytest.approx(expected, abs=1e-12)
    assert found["predictions"] == (expected > 0.5).tolist()
    assert len(set(found["ids"])) == 6


def test_csv_is_answered_like_rows_and_refused_by_row_and_column(
    running: Service, packaged: dict[str, Packaged]
) -> None:
    headers = {"content-type": "text/csv; charset=utf-8"}
    answer = httpx.post(f"{running.url}/invocations/late", content=CSV.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["probability"] == pytest.approx(packaged["first"].expected(FRAME), abs=1e-12)
    missing = httpx.post(
        f"{running.url}/invocations/late", content=b"express,carrier,hour,distance\n,,,\n", headers=headers
    )
    nulls = httpx.post(f"{running.url}/predict/late", json={"rows": [dict.fromkeys(ROW)]})
    assert missing.json()["probability"] == [nulls.json()["predictions"][0]["probability"]]
    for content, said in (
        (b"", "there is no line"),
        (b"distance,hour,carrier,express\n", "there are no rows"),
        (b"distance,hour,carrier\n1,2,AA\n", "the column 'express' is missing"),
        (b"distance,hour,carrier,express\n1,2,AA\n", "row 0: expected 4 cells, found 3"),
        (b"distance,hour,carrier,express\nfar,2,AA,true\n", "row 0, column 'distance': expected a number, found 'far'"),
        (b"distance,hour,carrier,express\n1,2.5,AA,true\n", "row 0, column 'hour': expected a whole number"),
        (b"distance,hour,carrier,express\n1,2,AA,yes\n", "expected true or false, found 'yes'"),
        (b"distance,hour,carrier,express\n1,2,\xff,true\n", "the body is not CSV"),
        (b'distance,hour,carrier,express\n1,2,"A\n', "the body is not CSV"),
    ):
        refused = httpx.post(f"{running.url}/invocations/late", content=content, headers=headers)
        assert (refused.status_code, said in refused.json()["error"]) == (400, True), refused.text


def test_regressions_and_many_classes_answer_in_their_own_form(running: Service) -> None:
    rows = [{"distance": 1.0, "wind": 2.0}]
    hours = httpx.post(f"{running.url}/invocations/hours", json={"dataframe_records": rows}).json()
    assert isinstance(hours["predictions"][0], float)
    kinds = httpx.post(f"{running.url}/invocations/kinds", json={"inputs": {"distance": 1.0, "wind": 2.0}}).json()
    assert kinds["predictions"][0] in {"early", "late", "on time"}
    assert sum(kinds["probabilities"][0]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "found none of them"),
        ({"inputs": [], "instances": []}, "found instances and inputs"),
        ({"inputs": []}, "inputs: there are no rows"),
        ({"instances": [1, 2]}, "instances: expected objects or lists"),
        ({"instances": [[1]]}, "instances: row 0: expected 4 values, found 1"),
        ({"instances": [{"distance": 1}]}, "instances[0]: the field 'hour' is missing"),
        ({"dataframe_split": {"columns": ["distance"], "data": [[1]]}}, "the column 'hour' is missing"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": []}}, "two columns have one name"),
        ({"dataframe_split": SPLIT | {"data": [[1, 2, 3, True]]}}, "row 0, column 'carrier': expected text or null"),
        ({"dataframe_split": SPLIT | {"data": [[1, 2.5, "AA", True]]}}, "row 0, column 'hour': expected a whole number"),
        ({"dataframe_records": [ROW | {"hour": "x"}]}, "dataframe_records[0].hour: expected a whole number or null"),
        ({"inputs": {name: [value] for name, value in ROW.items()} | {"hour": [1, 2]}}, "inputs.hour: expected 1 values"),
        ({"dataframe_records": [ROW], "params": {"keys": ["a", "b"]}}, "found 2 keys for 1 rows"),
    ],
)  # fmt: skip
def test_a_body_that_does_not_fit_the_signature_is_refused_by_place(
    running: Service, body: dict[str, object], said: str
) -> None:
    refused = httpx.post(
        f"{running.url}/invocations/late", content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert (refused.status_code, said in refused.json()["error"]) == (400, True), refused.text


def test_columns_are_answered_like_rows_and_refused_by_column(running: Service, packaged: dict[str, Packaged]) -> None:
    columns = FRAME.to_dict(as_series=False)
    answer = httpx.post(f"{running.url}/predict/late", json={"columns": columns, "keys": [*"abcdef"]})
    assert answer.status_code == 200, answer.text
    scores = [one["probability"] for one in answer.json()["predictions"]]
    assert scores == pytest.approx(packaged["first"].expected(FRAME), abs=1e-12)
    for changed, said in (
        ({"columns": columns | {"hour": [1]}}, "columns.hour: expected 6 values like the column 'distance', found 1"),
        ({"columns": columns | {"hour": [1.5] * 6}}, "columns.hour[0]: expected a whole number, found 1.5"),
        ({"columns": columns | {"hour": ["x"] * 6}}, "columns.hour[0]: expected a whole number or null, found text"),
        ({"columns": {name: [] for name in columns}}, "there are no rows"),
        ({"columns": columns, "rows": []}, "there are rows and columns"),
    ):
        refused = httpx.post(f"{running.url}/predict/late", json=changed)
        assert (refused.status_code, said in refused.json()["error"]) == (400, True), refused.text


def test_what_mlflow_asks_beside(running: Service, service: Service) -> None:
    assert httpx.get(f"{running.url}/ping").status_code == 200
    assert httpx.get(f"{running.url}/version").text
    refused = httpx.post(f"{running.url}/invocations", json={"dataframe_records": [ROW]})
    assert (refused.status_code, "late" in refused.json()["fix"]) == (404, True)
    assert httpx.post(f"{service.start().url}/invocations", json={"dataframe_records": [ROW]}).status_code == 200
    wrong = httpx.post(f"{running.url}/invocations/late", content=b"x", headers={"content-type": "text/plain"})
    assert wrong.status_code == 415


EVIL = "evil.example"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": f"http://{EVIL}"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": f"http://{EVIL}", "host": EVIL}, 403),
        ({"origin": f"http://{EVIL}:8701", "host": f"{EVIL}:8701"}, 403),
        ({"sec-fetch-site": "same-origin", "host": EVIL}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://[::1]:9", "host": "[::1]:9"}, 200),
        ({"origin": "http://localhost", "host": "localhost", "sec-fetch-site": "same-origin"}, 200),
        # A page's browser says no more than that when it only reads.
        ({"host": EVIL}, 403),
        ({"host": f"127.0.0.1.{EVIL}"}, 403),
        ({"host": "127.0.0.1"}, 200),
    ],
)
def test_another_sites_page_may_not_ask(running: Service, headers: dict[str, str], status: int) -> None:
    answer = httpx.post(f"{running.url}/predict/late", json={"rows": [ROW]}, headers=headers)
    assert answer.status_code == status, answer.text
    own = httpx.post(f"{running.url}/predict/late", json={"rows": [ROW]}, headers={"origin": running.url})
    assert own.status_code == 200


def test_who_knows_the_service_by_another_name_reads_nothing(running: Service) -> None:
    for path in (
        "/v2",
        "/v2/models/late",
        "/v2/models/late/ready",
        "/metrics",
        "/version",
        "/nothing",
        "/predict/late",
    ):
        refused = httpx.get(f"{running.url}{path}", headers={"host": f"{EVIL}:8701"})
        assert refused.status_code == 403
        assert refused.json()["error"].startswith(f"host: the service is not known as '{EVIL}:8701'. ")
        assert httpx.get(f"{running.url}{path}", headers={"host": "[::1]:8701"}).status_code in {200, 404, 405}
    # Probes come by whichever name the machine has.
    for path in ("/v2/health/live", "/v2/health/ready", "/ping"):
        assert httpx.get(f"{running.url}{path}", headers={"host": "10.1.2.3:8701"}).status_code == 200


def test_why_it_is_not_ready_is_told_to_those_who_may_ask(service: Service) -> None:
    lost = msgspec.structs.replace(service.arm("first", 1), bundle="sha256:" + "0" * 64)
    service.route(lost=(lost,))
    service.start()
    told, untold = (httpx.get(f"{service.url}/v2/health/ready", headers={"host": host}) for host in ("localhost", EVIL))
    assert (told.status_code, "lost" in told.text) == (503, True)
    assert (untold.status_code, untold.json()["error"]) == (503, "service: not all is loaded. Try again in a moment")


def test_a_program_behind_a_proxy_asks_by_the_name_that_was_declared(service: Service) -> None:
    service.settings = {"known_as": "models.example"}
    service.start()
    for headers, status in (({"host": "models.example"}, 200), ({"host": "other.example"}, 403)):
        assert httpx.get(f"{service.url}/v2", headers=headers).status_code == status
        answer = httpx.post(f"{service.url}/predict/late", json={"rows": [ROW]}, headers=headers)
        assert answer.status_code == status


def test_a_page_that_has_the_secret_may_ask_by_any_name(service: Service) -> None:
    service.settings = {"callers": "shop:one"}
    service.start()
    page = {"origin": "https://shop.example", "host": "shop.example"}
    for headers, status in ((page, 401), (page | {"authorization": "Bearer one"}, 200)):
        answer = httpx.post(f"{service.url}/predict/late", json={"rows": [ROW]}, headers=headers)
        assert answer.status_code == status
    assert service.stop() == 0


def test_values_that_fit_the_signature_and_not_the_model(running: Service) -> None:
    answer = httpx.post(f"{running.url}/predict/hours", json={"rows": [{"distance": None, "wind": 1.0}]})
    assert answer.status_code == 422
    assert "'distance' is missing" in answer.json()["error"]
