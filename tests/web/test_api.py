import msgspec
import pytest
from filled import NAME, Filled
from visiting import Client, Open

from kept.app.connection import Problem, route
from kept.app.operations import OPERATIONS
from kept.governance.workspace import Workspace
from kept.registry.version import ModelDetail, ModelSummary

REMOTE = [one for one in OPERATIONS.values() if one.remote]
LOCAL = [one for one in OPERATIONS.values() if not one.remote]


def test_the_description_lists_every_remote_operation_and_no_other(site: Client) -> None:
    found = site.get("/api/v1/openapi.json").json()
    assert found["openapi"].startswith("3.1")
    assert set(found["paths"]) == {route(one) for one in REMOTE}
    for one in REMOTE:
        described = found["paths"][route(one)]["post"]
        assert described["operationId"] == one.name
        assert described["summary"]
        assert described["x-permission"] == one.needs.value
    references = {
        part.partition('"')[0] for part in msgspec.json.encode(found).decode().split('"#/components/schemas/')[1:]
    }
    assert references <= set(found["components"]["schemas"])


@pytest.mark.parametrize("operation", REMOTE, ids=lambda one: one.name)
def test_each_remote_operation_has_a_route(site: Client, operation: object) -> None:
    answer = site.post(route(operation), content=b'{"no_such_field": 1}')  # type: ignore[arg-type]
    assert answer.status_code == 400
    assert "no_such_field" in answer.json()["what"] or "missing required field" in answer.json()["what"]
    assert answer.json()["fix"]


@pytest.mark.parametrize("operation", LOCAL, ids=lambda one: one.name)
def test_an_operation_on_paths_of_this_machine_has_none(site: Client, operation: object) -> None:
    assert site.post(route(operation), content=b"{}").status_code == 404  # type: ignore[arg-type]


def test_an_answer_is_the_operations_own(site: Client, full: tuple[Workspace, Filled]) -> None:
    answer = site.post("/api/v1/registry/list", content=msgspec.json.encode({"model": NAME}))
    found = msgspec.json.decode(answer.content, type=list[ModelSummary])
    assert [one.id for one in found] == [one.id for one in reversed(full[1].versions)]
    shown = site.post("/api/v1/registry/show", content=msgspec.json.encode({"model": NAME, "version": "1"}))
    assert msgspec.json.decode(shown.content, type=ModelDetail).version == full[1].versions[0]


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("/api/v1/registry/show", b'{"model": "none"}', 404, "NotFound"),
        ("/api/v1/registry/show", b"{", 400, "Invalid"),
        ("/api/v1/registry/show", b'{"model": 1}', 400, "Invalid"),
        ("/api/v1/registry/show", b"", 400, "Invalid"),
        ("/api/v1/registry/list", b'{"limit": 0}', 400, "Invalid"),
        ("/api/v1/deployment/release", b'{"endpoint": "none"}', 404, "NotFound"),
        ("/api/v1/no/such", b"{}", 404, "NotFound"),
    ],
)
def test_errors_say_what_where_and_what_to_do(site: Client, path: str, body: bytes, status: int, error: str) -> None:
    answer = site.post(path, content=body)
    assert answer.status_code == status
    problem = msgspec.json.decode(answer.content, type=Problem)
    assert problem.error == error
    assert problem.what


def test_a_wrong_method_is_an_error_in_the_same_form(site: Client) -> None:
    answer = site.get("/api/v1/registry/list")
    assert answer.status_code == 405
    assert msgspec.json.decode(answer.content, type=Problem).what


def test_a_fault_of_ours_tells_no_secrets(
    open_site: Open, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    client = open_site()
    workspace.database.close()  # type: ignore[attr-defined]
    (workspace.root / "kept.db").unlink()
    (workspace.root / "kept.db").write_bytes(b"no database" * 1000)
    for suffix in ("-wal", "-shm"):
        (workspace.root / f"kept.db{suffix}").unlink(missing_ok=True)
    answer = client.post("/api/v1/registry/list", content=b"{}")
    assert answer.status_code >= 500
    assert "Traceback" not in answer.text
    assert "sqlite" not in answer.text.lower()
    assert msgspec.json.decode(answer.content, type=Problem).what


def test_labels_have_an_address_of_their_own(open_site: Open) -> None:
    body = {"endpoint": NAME, "labels": [{"key": "a", "value": True}]}
    client = open_site()
    answer = client.post("/api/v1/labels", content=msgspec.json.encode(body))
    again = client.post("/api/v1/labels/record", content=msgspec.json.encode(body))
    assert (answer.status_code, again.status_code) == (200, 200), answer.text


def test_health_and_metrics(open_site: Open) -> None:
    client = open_site()
    assert client.get("/api/v1/health/live").json() == {"live": True}
    assert client.get("/api/v1/health/ready").json() == {"ready": True}
    assert "python_info" in client.get("/metrics").text
