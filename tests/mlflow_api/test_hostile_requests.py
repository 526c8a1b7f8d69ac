"""What no client sends: it is refused as the sender's fault, and costs the server nothing."""

import pytest
from asking import ADDRESS
from litestar import Litestar
from litestar.testing import TestClient

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.settings.settings import Settings
from kept.web.site import make_site

API = "/api/2.0/mlflow/"
FILES = "/api/2.0/mlflow-artifacts/"
DEEP = 100_000


@pytest.mark.parametrize("header", [b"Basic \xe9\xe9", b"Basic =", b"Bearer \xe9", b"Basic"])
@pytest.mark.parametrize("path", ["/api/v1/runs/list", f"{API}runs/create", f"{API}experiments/create"])
def test_a_token_that_is_none_is_refused_as_a_wrong_one(
    workspace: Workspace, me: Actor, path: str, header: bytes
) -> None:
    given = Workspace(**{**vars(workspace), "settings": Settings(workspace=str(workspace.root), token="right")})
    with TestClient(make_site(given, me), base_url=ADDRESS, raise_server_exceptions=False) as client:
        assert client.post(path, content=b"{}", headers={b"Authorization": header}).status_code == 401


@pytest.mark.parametrize("origin", ["http://[", "null", "http://evil.example", "http://[::1"])
@pytest.mark.parametrize("path", ["/api/v1/runs/list", f"{API}runs/create", f"{API}experiments/create"])
def test_an_origin_that_is_none_is_a_foreign_one(client: TestClient[Litestar], path: str, origin: str) -> None:
    assert client.post(path, json={}, headers={"Origin": origin}).status_code == 403


@pytest.mark.parametrize(
    "path", [f"{API}runs/create", f"{API}runs/log-batch", f"{API}experiments/create", "/api/v1/runs/receive"]
)
@pytest.mark.parametrize("body", ['{"x": %s}', '{"tags": %s}', '{"experimentId": "0", "tags": %s}', "%s"])
def test_what_is_nested_deep_is_refused(client: TestClient[Litestar], path: str, body: str) -> None:
    content = body % ("[" * DEEP + "]" * DEEP)
    answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


def test_a_list_where_a_text_is_wanted_is_refused(client: TestClient[Litestar], run: str) -> None:
    for field, element in (("metrics", {"key": ["a"], "value": 1}), ("params", {"key": {}, "value": "1"})):
        answer = client.post(f"{API}runs/log-batch", json={"run_id": run, field: [element]})
        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_a_range_in_endless_numbers_is_none(client: TestClient[Litestar]) -> None:
    client.put(f"{FILES}artifacts/a.txt", content=b"hello")
    answer = client.get(f"{FILES}artifacts/a.txt", headers={"Range": "bytes=0-" + "9" * 5_000})
    assert (answer.status_code, answer.content) == (200, b"hello")


@pytest.mark.parametrize("number", [10**300, -1, 0])
def test_a_part_of_no_number_is_refused(client: TestClient[Litestar], number: int) -> None:
    begun = client.post(f"{FILES}mpu/create/a", json={"path": "b"}).json()
    asked = {"path": "b", "upload_id": begun["upload_id"], "parts": [{"part_number": number, "etag": "x"}]}
    assert client.post(f"{FILES}mpu/complete/a", json=asked).status_code == 400


@pytest.mark.parametrize(("field", "path"), [("run_view_type", "runs/search"), ("view_type", "experiments/search")])
def test_a_choice_of_endless_digits_is_none(client: TestClient[Litestar], field: str, path: str) -> None:
    answer = client.post(f"{API}{path}", json={"experiment_ids": ["0"], "max_results": 1, field: "9" * 5_000})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_long_headers_are_not_answered_ten_thousand_times(client: TestClient[Litestar]) -> None:
    asked = {"path": "b", "num_parts": 10_000}
    answer = client.post(f"{FILES}mpu/create/a", json=asked, headers={"Authorization": "x" * 60_000})
    assert answer.status_code == 400


def test_a_page_sends_no_large_file_that_it_does_not_announce(client: TestClient[Litestar], run: str) -> None:
    address = f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path=a.bin"
    pieces = (bytes(1 << 20) for _ in range(11))
    answer = client.post(address, content=pieces)
    assert (answer.status_code, "too large" in answer.json()["message"]) == (400, True)
