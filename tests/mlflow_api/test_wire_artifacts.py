"""The endpoints of files, as they are seen on the wire."""

import hashlib
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from asking import ADDRESS, Ask
from litestar import Litestar
from litestar.testing import TestClient

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.settings.settings import Settings
from kept.tracking import artifacts
from kept.tracking.artifact_files import ArtifactFiles
from kept.tracking.artifacts import ShowArtifact, show_artifact
from kept.web.site import make_site

PROXY = "/api/2.0/mlflow-artifacts/"
BAD = (400, "INVALID_PARAMETER_VALUE")
ABSENT = (404, "RESOURCE_DOES_NOT_EXIST")


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
    assert got.headers["content-disposition"] == "attachment; filename=weights.bin"
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


@pytest.mark.parametrize(
    "path",
    ["../x", "/etc", "%2e%2e/x", "a/%252e%252e/x", "a#b", "a\\b", "C:/x", "file:///etc", "file:x", "FILE:x", "//[x"],
)
def test_no_path_leads_out(client: TestClient[Litestar], ask: Ask, run: str, path: str) -> None:
    assert ask("GET", "artifacts", root=PROXY, fails=BAD, path=path) == "Invalid path"
    assert ask("GET", "artifacts/list", fails=BAD, run_id=run, path=path) == "Invalid path"


def test_an_encoded_path_does_not_lead_out_either(client: TestClient[Litestar]) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = client.request(method, f"{PROXY}artifacts/0/%252e%252e/%252e%252e/x")
        assert (answer.status_code, answer.json()["message"]) == (400, "Invalid path")


@pytest.mark.parametrize("path", ["/f", "//f", "%2fetc/passwd", "/etc/passwd%00.jpg", "a%00b"])
def test_a_path_from_the_root_is_none_within_the_proxy(client: TestClient[Litestar], path: str) -> None:
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        answer = client.request(method, f"{PROXY}artifacts/{path}", content=b"x" if method == "PUT" else None)
        assert answer.status_code == 400
        assert method == "HEAD" or answer.json()["message"] == "Invalid path"
    assert client.get(f"{PROXY}artifacts").json() == {}


def test_where_a_path_leads_is_looked_at_before_what_it_is_of(client: TestClient[Litestar], ask: Ask) -> None:
    for path, of in {
        "/get-artifact": {"run_id": "none"},
        "/model-versions/get-artifact": {"name": "none", "version": "x"},
        "/ajax-api/2.0/mlflow/logged-models/m-none/artifacts/files": {},
    }.items():
        answer = client.get(path, params={**of, "path": "../f", "artifact_file_path": "../f"})
        assert (answer.status_code, answer.json()["message"]) == (400, "Invalid path")
    body = {"path": "f", "upload_id": "none", "parts": []}
    assert ask("POST", "mpu/complete/0/%2e%2e", body, root=PROXY, fails=BAD) == "Invalid path"


def test_no_address_past_the_proxy_is_given(ask: Ask, run: str) -> None:
    model = ask("POST", "logged-models", {"experiment_id": "0", "name": "m"})["model"]["info"]["model_id"]

    def said(kind: str, *, fails: tuple[int, str] = BAD, **body: Any) -> str:
        return str(ask("POST", f"artifacts/presigned-{kind}-url", body, fails=fails))

    for of in ({"run_id": run}, {"model_id": model}):
        assert said("upload", path="f", **of).startswith(
            "Presigned upload is not supported for proxied artifact storage (artifact URI scheme: mlflow-artifacts)."
        )
    assert said("upload", path="f") == "Exactly one of run_id and model_id must be provided."
    assert said("upload", path="../f", run_id="none") == "Invalid path"
    assert said("upload", path="f", run_id="none", fails=ABSENT) == "Run with id=none not found"
    assert said("download", path="f", run_id=run).startswith("Presigned download is not supported for runs with")
    assert said("download", path="f", run_id=run, expiration=0) == (
        "expiration must be between 1 and 604800 seconds (got 0)."
    )
    assert "'run_id'" in said("download", path="f")


@pytest.mark.parametrize("address", ["s3://[x", "//[x", "http://[::1", "models://[x/1", "s3://%5bx"])
def test_what_is_no_address_is_the_fault_of_who_sends_it(ask: Ask, address: str) -> None:
    ask("POST", "registered-models/create", {"name": "iris"})
    assert "is no address" in ask("POST", "model-versions/create", {"name": "iris", "source": address}, fails=BAD)
    if "%" not in address:
        body = {"name": "far", "artifact_location": address}
        assert "is no address" in ask("POST", "experiments/create", body, fails=BAD)


def test_an_address_that_is_encoded_without_end_is_refused_at_once(ask: Ask) -> None:
    ask("POST", "registered-models/create", {"name": "iris"})
    # Taken apart to its end this took minutes, and nobody could write in the meantime.
    body = {"name": "iris", "source": "s3://store/%" + "25" * 250_000 + "41"}
    assert "is encoded more than" in ask("POST", "model-versions/create", body, fails=BAD)


def test_a_run_that_is_not_there_is_told_in_the_words_of_every_other_endpoint(
    client: TestClient[Litestar], ask: Ask
) -> None:
    said = "Run with id=none not found"
    assert ask("GET", "artifacts/list", fails=ABSENT, run_id="none") == said
    for answer in (
        client.get("/get-artifact", params={"run_id": "none", "path": "f.txt"}),
        client.post(
            "/ajax-api/2.0/mlflow/upload-artifact", params={"run_uuid": "none", "path": "f.txt"}, content=b"{}"
        ),
    ):
        assert (answer.status_code, answer.json()["message"]) == (404, said)


def test_files_of_elsewhere_are_not_listed(ask: Ask) -> None:
    number = ask("POST", "experiments/create", {"name": "far", "artifact_location": "s3://bucket/far"})["experiment_id"]
    run = ask("POST", "runs/create", {"experiment_id": number})["run"]["info"]["run_id"]
    assert "s3://bucket/far" in ask("GET", "artifacts/list", fails=(501, "NOT_IMPLEMENTED"), run_id=run)


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("a.txt", "text/plain"),
        ("table.json", "text/plain"),
        ("rows.csv", "text/plain"),
        ("train.py", "text/plain"),
        ("MLmodel", "text/plain"),
        ("mlproject", "text/plain"),
        ("b.pkl", "application/octet-stream"),
        ("c.png", "image/png"),
        ("d.pdf", "application/pdf"),
        ("e.html", "text/html"),
        ("weights", "application/octet-stream"),
    ],
)
def test_the_type_is_that_of_the_name(client: TestClient[Litestar], run: str, name: str, media: str) -> None:
    client.put(f"{PROXY}artifacts/0/{run}/artifacts/{name}", content=b"x", headers={"content-type": "text/html"})
    for got in (
        client.get(f"{PROXY}artifacts/0/{run}/artifacts/{name}", headers={"accept": "text/html"}),
        client.get("/get-artifact", params={"run_id": run, "path": name}),
    ):
        assert got.headers["content-type"] == media
        assert got.headers["content-disposition"] == f"attachment; filename={name}"
        assert got.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a b.txt", 'attachment; filename="a b.txt"'),
        ("ü.txt", "attachment; filename=u.txt; filename*=UTF-8''%C3%BC.txt"),
        ("日本", "attachment; filename=download; filename*=UTF-8''%E6%97%A5%E6%9C%AC"),
        ('a"b', r'attachment; filename="a\"b"'),
    ],
)
def test_the_name_travels_whole(client: TestClient[Litestar], run: str, name: str, said: str) -> None:
    path = f"{PROXY}artifacts/0/{run}/artifacts/{quote(name)}"
    assert client.put(path, content=b"x").status_code == 200
    assert client.get(path).headers["content-disposition"] == said


@pytest.mark.parametrize(
    ("asked", "status", "content", "said"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-30", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=9-9", 206, b"9", "bytes 9-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=99-100", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=5-2", 200, b"0123456789", None),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("lines=0-3", 200, b"0123456789", None),
    ],
)
def test_a_range_of_bytes_can_be_asked_for(
    client: TestClient[Litestar], run: str, asked: str, status: int, content: bytes, said: str | None
) -> None:
    path = f"{PROXY}artifacts/0/{run}/artifacts/digits"
    client.put(path, content=b"0123456789")
    got = client.get(path, headers={"range": asked})
    assert (got.status_code, got.content, got.headers.get("content-range")) == (status, content, said)
    assert got.headers["accept-ranges"] == "bytes"
    assert got.headers["content-length"] == str(len(content))
    head = client.head(path, headers={"range": asked})
    assert (head.status_code, head.content, head.headers["content-length"]) == (status, b"", str(len(content)))


def test_a_file_that_changed_is_sent_whole_and_one_that_is_known_is_not(client: TestClient[Litestar], run: str) -> None:
    path = f"{PROXY}artifacts/0/{run}/artifacts/digits"
    client.put(path, content=b"0123456789")
    first = client.get(path)
    tag, moment = first.headers["etag"], first.headers["last-modified"]
    for known in (tag, moment):
        assert client.get(path, headers={"range": "bytes=2-3", "if-range": known}).content == b"23"
    assert client.get(path, headers={"if-none-match": f'"other", {tag}'}).status_code == 304
    client.put(path, content=b"abcdefghijk")
    assert client.get(path, headers={"range": "bytes=2-3", "if-range": tag}).content == b"abcdefghijk"
    assert client.get(path, headers={"if-none-match": tag}).content == b"abcdefghijk"
    empty = f"{PROXY}artifacts/0/{run}/artifacts/empty"
    client.put(empty, content=b"")
    assert (client.get(empty).content, client.head(empty).headers["content-length"]) == (b"", "0")
    assert client.get(empty, headers={"range": "bytes=0-"}).status_code == 416


def test_a_file_is_got_by_its_run_its_model_and_its_version(client: TestClient[Litestar], ask: Ask, run: str) -> None:
    model = ask("POST", "logged-models", {"experiment_id": "0", "name": "m"})["model"]["info"]["model_id"]
    client.put(f"{PROXY}artifacts/0/models/{model}/artifacts/d/MLmodel", content=b"of model")
    client.put(f"{PROXY}artifacts/0/{run}/artifacts/d/a.txt", content=b"of run")
    for field in ("run_id", "run_uuid"):
        got = client.get("/get-artifact", params={field: run, "path": "d/a.txt"})
        assert got.content == b"of run"
    asked = {"artifact_file_path": "d/MLmodel"}
    for prefix in ("/ajax-api/2.0", "/ajax-api/3.0", "/api/2.0"):
        assert client.get(f"{prefix}/mlflow/logged-models/{model}/artifacts/files", params=asked).content == b"of model"
    ask("POST", "registered-models/create", {"name": "churn"})
    source = {"name": "churn", "source": f"mlflow-artifacts:/0/{run}/artifacts/d", "run_id": run}
    ask("POST", "model-versions/create", source)
    version = {"name": "churn", "version": "1", "path": "a.txt"}
    assert client.get("/model-versions/get-artifact", params=version).content == b"of run"
    for path, params in (
        ("/get-artifact", {"run_id": run, "path": "../x"}),
        ("/get-artifact", {"run_id": run, "path": "%2e%2e/x"}),
        ("/get-artifact", {"run_id": run}),
        ("/get-artifact", {"run_id": run, "path": "d"}),
        ("/model-versions/get-artifact", {**version, "path": "../../x"}),
        (f"/ajax-api/2.0/mlflow/logged-models/{model}/artifacts/files", {}),
    ):
        refused = client.get(path, params=params)
        assert (refused.status_code, refused.json()["error_code"][:3]) in {(400, "INV"), (400, "BAD")}, path
    gone = client.get("/get-artifact", params={"run_id": "0" * 32, "path": "a"})
    assert (gone.status_code, gone.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_page_sends_a_small_file_to_a_run(client: TestClient[Litestar], run: str) -> None:
    def send(content: bytes, **params: str) -> tuple[int, str]:
        kind = {"content-type": "application/json"}
        got = client.post("/ajax-api/2.0/mlflow/upload-artifact", params=params, content=content, headers=kind)
        return got.status_code, got.json()["message"] if got.content else ""

    assert send(b'{"a": 1}', run_uuid=run, path="d/a.json") == (200, "")
    assert client.get("/get-artifact", params={"run_id": run, "path": "d/a.json"}).content == b'{"a": 1}'
    assert send(b"x", path="a") == (400, "Request must specify run_uuid.")
    assert send(b"x", run_uuid=run) == (400, "Request must specify path.")
    assert send(b"", run_uuid=run, path="a") == (400, "Request must specify data.")
    assert (
        send(bytes(10 * 1024 * 1024 + 1), run_uuid=run, path="a")[1] == "Artifact size is too large. Max size is 10MB."
    )
    assert send(b"x", run_uuid=run, path="../a") == (400, "Invalid path")


def test_a_server_says_that_it_is_well_and_which_api_it_speaks(client: TestClient[Litestar]) -> None:
    assert client.get("/health").text == "OK"
    assert client.get("/version").text == "3.17.2"


class Parts:
    """An upload in parts of `model/big.bin` of a run, as a client does it."""

    def __init__(self, client: TestClient[Litestar], ask: Ask, run: str, count: int) -> None:
        self.client, self.ask, self.count = client, ask, count
        self.folder = f"0/{run}/artifacts/model"
        made = ask("POST", f"mpu/create/{self.folder}", {"path": "/home/a/big.bin", "num_parts": count}, root=PROXY)
        self.key = made["upload_id"]
        self.credentials = made["credentials"]

    def put(self, number: int, content: bytes) -> dict[str, object]:
        given = self.credentials[number - 1]
        assert given["part_number"] == number
        assert given["url"].startswith("http://")
        got = self.client.put(given["url"], content=content, headers=given["headers"])
        assert got.status_code == 200
        return {"part_number": number, "etag": got.headers["etag"], "url": given["url"]}

    def complete(self, parts: list[dict[str, object]], **more: Any) -> Any:
        body = {"path": "/home/a/big.bin", "upload_id": self.key, "parts": parts}
        return self.ask("POST", f"mpu/complete/{self.folder}", body, root=PROXY, **more)


def test_a_file_is_uploaded_in_parts(
    client: TestClient[Litestar], ask: Ask, run: str, workspace: Workspace, me: Actor
) -> None:
    upload = Parts(client, ask, run, 3)
    second = upload.put(2, b"b" * 2_000_000)
    third = upload.put(3, b"c")
    first = upload.put(1, b"a" * 2_000_000)
    path = f"{upload.folder}/big.bin"
    assert client.get(f"{PROXY}artifacts/{path}").status_code == 404
    assert ask("GET", "artifacts", root=PROXY, path=upload.folder) == {}
    assert upload.complete([first, second, third]) == {}
    content = b"a" * 2_000_000 + b"b" * 2_000_000 + b"c"
    assert client.get(f"{PROXY}artifacts/{path}").content == content
    known = show_artifact(workspace, me, ShowArtifact(path=path))
    assert known is not None
    assert (known.size, known.digest) == (len(content), f"sha256:{hashlib.sha256(content).hexdigest()}")
    assert list((workspace.root / "artifacts" / "new").iterdir()) == []
    assert "no upload" in upload.complete([first], fails=(404, "RESOURCE_DOES_NOT_EXIST"))


def test_an_upload_in_parts_is_checked(client: TestClient[Litestar], ask: Ask, run: str) -> None:
    upload = Parts(client, ask, run, 2)
    first = upload.put(1, b"a")
    assert "part 2 was not sent" in upload.complete([first, {**first, "part_number": 2}], fails=BAD)
    assert "once" in upload.complete([first, first], fails=BAD)
    assert "once" in upload.complete([], fails=BAD)
    upload.put(1, b"other")
    assert "part 1 is not the one" in upload.complete([first], fails=BAD)
    assert upload.complete([upload.put(2, b"b"), upload.put(1, b"a")]) == {}
    assert client.get(f"{PROXY}artifacts/{upload.folder}/big.bin").content == b"ab"
    for count in (0, 10_001):
        body = {"path": "x", "num_parts": count}
        assert "num_parts" in ask("POST", "mpu/create/0/x", body, root=PROXY, fails=BAD)
    assert ask("POST", "mpu/create/0/%2e%2e", {"path": "x"}, root=PROXY, fails=BAD) == "Invalid path"
    assert client.put(f"{PROXY}mpu/part/{'0' * 36}/1", content=b"x").status_code == 404
    assert client.put(f"{PROXY}mpu/part/..%2f..%2fx/1", content=b"x").status_code == 404


def test_an_upload_in_parts_is_given_up(client: TestClient[Litestar], ask: Ask, run: str, workspace: Workspace) -> None:
    upload = Parts(client, ask, run, 2)
    upload.put(1, b"a")
    body = {"path": "/home/a/big.bin", "upload_id": upload.key}
    for _ in range(2):
        assert ask("POST", f"mpu/abort/{upload.folder}", body, root=PROXY) == {}
    assert list((workspace.root / "artifacts" / "new").iterdir()) == []
    assert client.put(upload.credentials[1]["url"], content=b"b").status_code == 404


def test_what_is_never_completed_does_not_fill_the_disk(
    client: TestClient[Litestar], ask: Ask, run: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        artifacts, "files_of", lambda _: ArtifactFiles(workspace.root / "artifacts", most_waiting=20 << 20)
    )
    first, second = Parts(client, ask, run, 3), Parts(client, ask, run, 3)
    part = first.put(1, b"a" * (12 << 20))
    # One that grows beyond what there is room for is refused on its way, and leaves nothing.
    refused = client.put(
        second.credentials[0]["url"], content=b"b" * (32 << 20), headers=second.credentials[0]["headers"]
    )
    assert refused.status_code == 503
    assert "20 MB of uploads in parts wait to be completed already" in refused.text
    second.put(1, b"b" * (7 << 20))
    full = client.put(first.credentials[1]["url"], content=b"a", headers=first.credentials[1]["headers"])
    assert (full.status_code, "upload_megabytes" in full.text) == (503, True)
    # What is there can still be completed, and makes room.
    assert first.complete([part]) == {}
    second.put(2, b"b")


def test_a_large_file_is_read_in_ranges_where_it_is_said(client: TestClient[Litestar], ask: Ask, run: str) -> None:
    path = f"0/{run}/artifacts/ü b.bin"
    client.put(f"{PROXY}artifacts/{quote(path)}", content=b"0123456789")
    told = ask("GET", f"presigned/{quote(path)}", root=PROXY)
    assert told["file_size"] == 10
    got = client.get(told["url"], headers={**told["headers"], "range": "bytes=3-5"})
    assert (got.status_code, got.content) == (206, b"345")
    ask("GET", "presigned/0/nothing", root=PROXY, fails=(404, "RESOURCE_DOES_NOT_EXIST"))


def test_what_is_sent_elsewhere_passes_the_gate(workspace: Workspace, me: Actor) -> None:
    """Clients send parts and ranges without their token: it comes with the addresses."""
    guarded = replace(workspace, settings=Settings(workspace=str(workspace.root), token="hush"))
    bearer = {"Authorization": "Bearer hush"}
    with TestClient(make_site(guarded, me), base_url=ADDRESS) as client:
        assert client.post(f"{PROXY}mpu/create/0/x", json={"path": "f"}).status_code == 401
        made = client.post(f"{PROXY}mpu/create/0/x", json={"path": "f"}, headers=bearer).json()
        (given,) = made["credentials"]
        assert client.put(given["url"], content=b"x").status_code == 401
        put = client.put(given["url"], content=b"x", headers=given["headers"])
        part = {"part_number": 1, "etag": put.headers["etag"]}
        body = {"path": "f", "upload_id": made["upload_id"], "parts": [part]}
        assert client.post(f"{PROXY}mpu/complete/0/x", json=body, headers=bearer).status_code == 200
        told = client.get(f"{PROXY}presigned/0/x/f", headers=bearer).json()
        assert client.get(told["url"], headers=told["headers"]).content == b"x"
        assert client.get(told["url"]).status_code == 401
