"""The endpoints of files, as they are seen on the wire."""

import hashlib

import pytest
from asking import Ask
from litestar import Litestar
from litestar.testing import TestClient

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.tracking.artifacts import ShowArtifact, show_artifact

PROXY = "/api/2.0/mlflow-artifacts/"
BAD = (400, "INVALID_PARAMETER_VALUE")


def test_a_file_goes_through_the_proxy(
    client: TestClient[Litestar], ask: Ask, run: str, workspace: Workspace, me: Actor
) -> None:
    content = bytes(range(256)) * 20_000  # more than one piece
    path = f"0/{run}/artifacts/model/weights.bin"
    assert client.put(f"{PROXY}artifacts/{path}", content=content).status_code == 200
    got = client.get(f"{PROXY}artifacts/{path}", headers={"accept-encoding": "gzip"})
    assert got.content == content
    assert got.headers["content-length"] == str(len(content))
    assert "content-encoding" not in got.headers
    assert got.headers["content-disposition"] == "attachment; filename*=UTF-8''weights.bin"
    assert got.headers["x-content-type-options"] == "nosniff"
    known = show_artifact(workspace, me, ShowArtifact(path=path))
    assert known is not None
    assert known.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    listed = ask("GET", "artifacts", root=PROXY, path=f"0/{run}/artifacts/model")
    assert listed == {"files": [{"path": "weights.bin", "is_dir": False, "file_size": len(content)}]}


def test_files_are_listed_below_their_run_and_model(client: TestClient[Litestar], ask: Ask, run: str) -> None:
    model = ask("POST", "logged-models", {"experiment_id": "0", "name": "m"})["model"]["info"]["model_id"]
    for folder in (f"0/{run}/artifacts", f"0/models/{model}/artifacts"):
        client.put(f"{PROXY}artifacts/{folder}/d/a.txt", content=b"a")
        client.put(f"{PROXY}artifacts/{folder}/empty", content=b"")
    top = [{"path": "d", "is_dir": True}, {"path": "empty", "is_dir": False, "file_size": 0}]
    assert ask("GET", "artifacts/list", run_id=run) == {
        "root_uri": f"mlflow-artifacts:/0/{run}/artifacts",
        "files": top,
    }
    below = ask("GET", "artifacts/list", run_id=run, path="d")
    assert below["files"] == [{"path": "d/a.txt", "is_dir": False, "file_size": 1}]
    of_model = ask("GET", f"logged-models/{model}/artifacts/directories", artifact_directory_path="d")
    assert of_model["files"] == below["files"]
    assert ask("GET", "artifacts", root=PROXY, path="0/nothing") == {}
    assert "'run_id'" in ask("GET", "artifacts/list", fails=BAD)


def test_a_file_is_deleted_and_again(client: TestClient[Litestar], ask: Ask, run: str) -> None:
    path = f"{PROXY}artifacts/0/{run}/artifacts/f.txt"
    client.put(path, content=b"a")
    assert client.delete(path).status_code == 200
    assert client.delete(path).status_code == 200
    gone = client.get(path)
    assert (gone.status_code, gone.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert gone.json()["message"] == f"No such artifact: '0/{run}/artifacts/f.txt'"


@pytest.mark.parametrize("path", ["../x", "/etc", "%2e%2e/x", "a/%252e%252e/x", "a#b", "a\\b", "C:/x"])
def test_no_path_leads_out(client: TestClient[Litestar], ask: Ask, run: str, path: str) -> None:
    assert ask("GET", "artifacts", root=PROXY, fails=BAD, path=path) == "Invalid path"
    assert ask("GET", "artifacts/list", fails=BAD, run_id=run, path=path) == "Invalid path"


def test_an_encoded_path_does_not_lead_out_either(client: TestClient[Litestar]) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = client.request(method, f"{PROXY}artifacts/0/%252e%252e/%252e%252e/x")
        assert (answer.status_code, answer.json()["message"]) == (400, "Invalid path")


def test_files_of_elsewhere_are_not_listed(ask: Ask) -> None:
    number = ask("POST", "experiments/create", {"name": "far", "artifact_location": "s3://bucket/far"})["experiment_id"]
    run = ask("POST", "runs/create", {"experiment_id": number})["run"]["info"]["run_id"]
    assert "s3://bucket/far" in ask("GET", "artifacts/list", fails=(501, "NOT_IMPLEMENTED"), run_id=run)


def test_uploads_in_parts_are_not_offered(ask: Ask) -> None:
    said = ask("POST", "mpu/create/0/x", {"path": "x", "num_parts": 2}, root=PROXY, fails=(501, "NOT_IMPLEMENTED"))
    assert said == "Multipart upload is not supported for the current artifact repository"
    ask("GET", "presigned/0/x", root=PROXY, fails=(501, "NOT_IMPLEMENTED"))
