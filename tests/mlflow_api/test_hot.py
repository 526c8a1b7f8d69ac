"""The endpoints that training waits for go past the framework's objects, and past none of the checks."""

import asyncio
from itertools import product
from typing import Any

import pytest
from asking import ADDRESS, Ask
from litestar import Litestar
from litestar.exceptions import ClientException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.testing import TestClient

from kept.governance.actor import Actor, Permission
from kept.governance.workspace import Workspace
from kept.mlflow_api.exchange import Exchange
from kept.settings.settings import Settings
from kept.tracking.experiments import ensure_default_experiment
from kept.web.site import LARGEST_BODY, make_site

API = "/api/2.0/mlflow/"
HOT = [
    ("POST", "runs/create"),
    ("GET", "runs/get"),
    ("POST", "runs/log-batch"),
    ("POST", "runs/log-metric"),
    ("POST", "runs/log-parameter"),
    ("POST", "runs/set-tag"),
    ("POST", "runs/update"),
]
# The same endpoint where it is an ordinary route.
ORDINARY = "/ajax-api/2.0/mlflow/"


def open_door(workspace: Workspace, me: Actor, address: str = ADDRESS, **settings: Any) -> TestClient[Litestar]:
    ensure_default_experiment(workspace)
    given = Workspace(**{**vars(workspace), "settings": Settings(workspace=str(workspace.root), **settings)})
    return TestClient(make_site(given, me), base_url=address, raise_server_exceptions=False)


def test_the_token_is_asked_for(workspace: Workspace, me: Actor) -> None:
    with open_door(workspace, me, token="right") as client:
        for (method, path), header in product(HOT, ("", "Bearer wrong", "Bearer rightx")):
            refused = client.request(method, API + path, headers={"Authorization": header}, content=b"{}")
            assert (refused.status_code, refused.json()["error_code"]) == (401, "UNAUTHENTICATED")
        for method, path in HOT:
            let_in = client.request(method, API + path, headers={"Authorization": "Bearer right"}, json={})
            assert let_in.status_code in {400, 404}


def test_another_name_for_this_machine_is_refused(workspace: Workspace, me: Actor) -> None:
    with open_door(workspace, me, "http://kept.example:8700") as client:
        for method, path in HOT:
            refused = client.request(method, API + path, json={})
            assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_page_of_another_site_is_refused(client: TestClient[Litestar], headers: dict[str, str]) -> None:
    for method, path in HOT:
        answer = client.request(method, API + path, json={}, headers=headers)
        assert (answer.status_code == 403) == (method == "POST"), path


def test_who_may_only_look_changes_nothing(workspace: Workspace) -> None:
    viewer = Actor(name="eve", origin="api", permissions=frozenset({Permission.VIEW}))
    with open_door(workspace, viewer) as client:
        refused = client.post(f"{API}runs/create", json={"experiment_id": "0"})
        assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")


def test_a_body_that_is_too_large_is_refused_before_it_is_read(client: TestClient[Litestar]) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": str(LARGEST_BODY + 1)}
    for method, path in HOT:
        answer = client.request(method, API + path, content=b"{}", headers=headers)
        assert (answer.status_code, answer.json()["error_code"]) == (413, "BAD_REQUEST")


def test_they_answer_as_ordinary_routes_do(client: TestClient[Litestar]) -> None:
    bodies = [b"", b"{}", b"nonsense", b"[]", b'"{}"', b"\xff", b'{"run_id": 7, "key": []}']
    for (method, path), body, kind in product(HOT, bodies, ["application/json", "text/plain", None]):
        headers = {"Content-Type": kind} if kind else {}
        hot, ordinary = (client.request(method, root + path, content=body, headers=headers) for root in (API, ORDINARY))
        assert hot.status_code == ordinary.status_code, (path, body, kind)
        assert hot.headers.keys() == ordinary.headers.keys()
        assert hot.headers["content-type"] == ordinary.headers["content-type"]
        if hot.status_code != 200:
            assert hot.json() == ordinary.json()


def test_they_know_their_method(client: TestClient[Litestar]) -> None:
    for method in ("PUT", "PATCH", "DELETE", "GET"):
        answer = client.request(method, f"{API}runs/log-metric")
        assert (answer.status_code, answer.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")


def test_a_query_with_marks_is_read(ask: Ask, run: str) -> None:
    assert ask("GET", "runs/get", run_id=run, other="a&b=c")["run"]["info"]["run_id"] == run


def exchange(*events: dict[str, Any], headers: list[tuple[bytes, bytes]] | None = None) -> Exchange:
    coming = iter(events)

    async def receive() -> Any:
        return next(coming)

    async def send(_: Any) -> None:
        raise AssertionError

    scope: Any = {"method": "POST", "headers": headers or []}
    return Exchange(scope, receive, send)


def piece(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_in_pieces_is_joined() -> None:
    sent = exchange(piece(b"ab"), piece(b""), piece(b"cd", more=False))
    assert asyncio.run(sent.body(4)) == b"abcd"


def test_a_body_that_does_not_say_how_large_it_is_is_refused_when_it_is_too_large() -> None:
    with pytest.raises(RequestEntityTooLarge):
        asyncio.run(exchange(piece(b"ab"), piece(b"cd"), piece(b"ef")).body(3))


def test_a_client_that_goes_away_is_not_waited_for() -> None:
    with pytest.raises(ClientException):
        asyncio.run(exchange(piece(b"ab"), {"type": "http.disconnect"}).body(3))
