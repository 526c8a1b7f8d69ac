"""Who may come through the door, and what stands behind it no more than elsewhere."""

import pytest
from asking import ADDRESS, Ask
from litestar import Litestar
from litestar.testing import TestClient

from kept.governance.actor import Actor, Permission
from kept.governance.journal import ListAudit, list_audit
from kept.governance.workspace import Workspace
from kept.settings.settings import Settings
from kept.tracking.experiments import ensure_default_experiment
from kept.web.site import make_site

API = "/api/2.0/mlflow/"


def test_a_server_tells_what_it_can(ask: Ask, client: TestClient[Litestar]) -> None:
    told = ask("GET", "server-info", root="/api/3.0/mlflow/")
    assert told["store_type"] == "SqlStore"
    assert told["multipart_uploads_enabled"] is False
    assert client.get("/version").text == "3.17.2"
    assert client.get("/health").text == "OK"


@pytest.mark.parametrize(
    ("method", "path", "area"),
    [
        ("POST", "/api/3.0/mlflow/traces", "Traces"),
        ("POST", "/api/3.0/mlflow/traces/search", "Traces"),
        ("GET", "/ajax-api/3.0/mlflow/gateway/endpoints/list", "gateway"),
        ("POST", "/api/3.0/mlflow/datasets/create", "Evaluation datasets"),
        ("GET", "/ajax-api/2.0/mlflow/gateway-proxy", "gateway"),
        ("GET", "/ajax-api/3.0/mlflow/get-trace-artifact", "Traces"),
        ("GET", "/ajax-api/3.0/mlflow/jobs/1", "Jobs of GenAI"),
        ("POST", "/ajax-api/2.0/mlflow/runs/create-promptlab-run", "Prompts"),
        ("POST", "/ajax-api/3.0/mlflow/demo/generate", "Demonstrations"),
        ("POST", "/ajax-api/3.0/mlflow/genai/evaluate/invoke", "Evaluations of GenAI"),
        ("POST", "/ajax-api/3.0/mlflow/scorer/invoke", "Scorers"),
    ],
)
def test_what_is_not_kept_is_said(ask: Ask, method: str, path: str, area: str) -> None:
    assert area in ask(method, path, {}, root="", fails=(501, "NOT_IMPLEMENTED"))


def test_what_there_is_not_is_told(ask: Ask) -> None:
    assert ask("GET", "nothing/at-all", fails=(404, "ENDPOINT_NOT_FOUND")) == "No API found for 'GET nothing/at-all'"
    ask("POST", "runs/get", {}, fails=(404, "ENDPOINT_NOT_FOUND"))


def test_errors_say_what_clients_derive(client: TestClient[Litestar]) -> None:
    said = client.get(f"{API}runs/get", params={"run_id": "x"}).json()
    assert said == {
        "error_code": "RESOURCE_DOES_NOT_EXIST",
        "message": "Run with id=x not found",
        "sqlstate": "KAM00",
        "error_class": "RESOURCE_NOT_FOUND",
    }


def test_a_token_is_asked_for(workspace: Workspace, me: Actor) -> None:
    guarded = Workspace(**{**vars(workspace), "settings": Settings(workspace=str(workspace.root), token="right")})
    with TestClient(make_site(guarded, me), base_url=ADDRESS) as client:
        refused = client.post(f"{API}runs/create", json={})
        assert (refused.status_code, refused.json()["error_code"]) == (401, "UNAUTHENTICATED")
        assert client.get("/api/2.0/mlflow-artifacts/artifacts").status_code == 401
        assert client.post("/graphql", json={"query": "{__typename}"}).status_code == 401
        assert client.get("/health").text == "OK"
        ensure_default_experiment(workspace)
        headers = {"Authorization": "Bearer right"}
        assert client.get(f"{API}experiments/get", params={"experiment_id": "0"}, headers=headers).status_code == 200


def test_who_may_only_look_changes_nothing(workspace: Workspace) -> None:
    ensure_default_experiment(workspace)
    viewer = Actor(name="eve", origin="api", permissions=frozenset({Permission.VIEW}))
    with TestClient(make_site(workspace, viewer), base_url=ADDRESS) as client:
        assert client.get(f"{API}experiments/get", params={"experiment_id": "0"}).status_code == 200
        for refused in (
            client.post(f"{API}runs/create", json={"experiment_id": "0"}),
            client.post(f"{API}experiments/create", json={"name": "x"}),
            client.put("/api/2.0/mlflow-artifacts/artifacts/0/x", content=b"x"),
            client.delete("/api/2.0/mlflow-artifacts/artifacts/0/x"),
        ):
            assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")


def test_what_is_made_and_deleted_is_in_the_journal(ask: Ask, run: str, workspace: Workspace, me: Actor) -> None:
    ask("POST", "experiments/create", {"name": "churn"})
    ask("POST", "runs/delete", {"run_id": run})
    actions = [entry.action for entry in list_audit(workspace, me, ListAudit())]
    assert {"experiments.create", "runs.delete"} <= set(actions)
