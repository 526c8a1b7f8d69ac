"""What a machine and its people do to Kept: taken ports, wrong tokens, broken files, Ctrl-C, a disk that is full."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from living import ENDPOINT, begin, call, connect, end, moment, run_kept, spawn, until

from kept.governance.journal import VerifyAudit, verify_audit
from kept.pipelines.catalog import ListSteps, list_steps
from kept.pipelines.run_step import StepStatus
from kept.registry.catalog import ListVersions, list_versions
from kept.tracking.run import RunStatus
from kept.tracking.runs import ListRuns, list_runs
from waiting import free_ports

TRAIN = ("run", "--until", moment(14).isoformat(), "--window", "14d")


@pytest.mark.parametrize(("command", "offset"), [("web", 0), ("serve", 1), ("up", 0), ("up", 1), ("demo", 1)])
def test_a_port_that_is_taken_is_named(command: str, offset: int, mine: Path) -> None:
    port = free_ports(2)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port + offset))
        other.listen()
        done = run_kept(mine, command, "--port", str(port), code=1)
    assert f"127.0.0.1:{port + offset}: cannot listen (Address already in use)" in done.stderr
    assert "choose another port" in done.stderr


@pytest.mark.parametrize("command", ["web", "serve", "up"])
def test_nothing_is_open_to_others_without_a_token(command: str, mine: Path) -> None:
    done = run_kept(mine, command, "--host", "0.0.0.0", "--port", str(free_ports(2)), code=1)
    assert "Set KEPT_TOKEN" in done.stderr


def test_a_wrong_token_is_refused_on_both_ports(mine: Path) -> None:
    port = free_ports(2)
    servers = [spawn(mine, kind, "--port", str(port), log="token.log", KEPT_TOKEN="right") for kind in ("web", "serve")]
    api, predictions = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"
    try:
        until(lambda: all(map(answers, (f"{api}/api/v1/health/ready", f"{predictions}/v2/health/ready"))))
        right = run_kept(mine, "models", "list", "--json", KEPT_URL=api, KEPT_TOKEN="right")
        assert '"number": 1' in right.stdout
        for token in ("wrong", ""):
            refused = run_kept(mine, "models", "list", code=1, KEPT_URL=api, KEPT_TOKEN=token)
            assert "the token is missing or wrong. Set KEPT_TOKEN" in refused.stderr
        rows = {"rows": [{"line": "north", "people": 10.0}]}
        for token, status in (("right", 200), ("wrong", 401), ("", 401)):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            answer = httpx.post(f"{predictions}/predict/{ENDPOINT}", json=rows, headers=headers)
            assert answer.status_code == status
    finally:
        for server in servers:
            end(server)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("kept.toml", 'port = "87', "kept.toml: not valid TOML"),
        ("kept.toml", "prot = 8700", "there is no setting 'prot'. Write port"),
        ("kept.toml", 'port = "many"', "setting port: expected int"),
        ("kept.toml", b"\xff\xfe port", "kept.toml"),
        ("project.py", "import kept\nproject = kept.Project(", "project.py: it cannot be loaded (SyntaxError"),
        ("project.py", "import nowhere", "No module named 'nowhere'"),
        ("project.py", "answer = 42", "it declares 0 projects"),
        (".kept", "no folder", ".kept"),
        (".kept/notes.txt", "mine", "the folder holds something else"),
        (".kept/workspace.json", '{"format": 99}', "Install a newer Kept"),
        (".kept/workspace.json", "{", "workspace.json: it cannot be read"),
    ],
)
def test_a_broken_file_is_named_with_what_to_do(
    name: str,
    content: str | bytes,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = begin(tmp_path / "trains")
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.chdir(folder)
    assert call(monkeypatch, "run") == 1
    assert said in capsys.readouterr().err.replace("\n", " ")
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())


def test_a_workspace_can_be_begun_after_a_service_that_came_first(tmp_path: Path) -> None:
    folder = begin(tmp_path / "trains")
    port = free_ports(2)
    service = spawn(folder, "serve", "--port", str(port))
    try:
        until(lambda: answers(f"http://127.0.0.1:{port + 1}/v2/health/live"))
    finally:
        end(service)
    assert (folder / ".kept").is_dir()
    run_kept(folder, "run", "--window", "a while", code=1)
    assert run_kept(folder, "audit", "verify").returncode == 0


def test_a_run_is_cancelled_by_ctrl_c_and_gone_on_with_after_kill_9(tmp_path: Path) -> None:
    folder = begin(tmp_path / "trains")
    process = spawn(folder, *TRAIN)
    until(lambda: is_under_way(folder))
    process.send_signal(signal.SIGINT)
    assert process.wait(90) == 130
    connection = connect(folder)
    (stopped,) = connection.call(list_runs, ListRuns())
    assert (stopped.status, stopped.error) == (RunStatus.CANCELLED, "cancelled by ada: stopped with Ctrl-C")
    process = spawn(folder, *TRAIN)
    until(lambda: len(connection.call(list_runs, ListRuns())) == 2 and is_under_way(folder))
    process.kill()
    process.wait()
    killed = connection.call(list_runs, ListRuns())[0]
    said = run_kept(folder, *TRAIN)
    assert f"Going on with run {killed.id}" in said.stderr
    runs = connection.call(list_runs, ListRuns())
    assert [(one.id, one.status) for one in runs] == [
        (killed.id, RunStatus.FINISHED),
        (stopped.id, RunStatus.CANCELLED),
    ]
    assert [one.run_id for one in connection.call(list_versions, ListVersions())] == [killed.id]
    connection.call(verify_audit, VerifyAudit())


def is_under_way(folder: Path) -> bool:
    """Whether a step of the newest run has begun."""
    if not (folder / ".kept" / "workspace.json").is_file():
        return False
    connection = connect(folder)
    runs = connection.call(list_runs, ListRuns())
    return any(
        one.status is not StepStatus.WAITING
        for run in runs[:1]
        for one in connection.call(list_steps, ListSteps(run=run.id))
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 12 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a small disk here")
    try:
        yield place
    finally:
        for _ in range(600):
            if subprocess.run(["umount", str(place)], capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.1)


def test_a_full_disk_is_said_and_what_was_there_stays(small_disk: Path, tmp_path: Path) -> None:
    folder = begin(tmp_path / "trains")
    workspace = ("--workspace", str(small_disk / "kept"))
    run_kept(folder, *TRAIN, *workspace)
    fill(small_disk / "filling")
    done = run_kept(folder, "run", "--fresh", *workspace, code=1)
    assert "Traceback" not in done.stderr
    assert "space" in done.stderr.lower()
    (small_disk / "filling").unlink()
    assert run_kept(folder, "models", "list", "--json", *workspace).stdout.count('"number"') == 1
    run_kept(folder, *TRAIN, *workspace)
    assert run_kept(folder, "models", "list", "--json", *workspace).stdout.count('"number"') == 2
    assert "The chain is whole" in run_kept(folder, "audit", "verify", *workspace).stdout


def fill(path: Path) -> None:
    """Takes all the space that is left."""
    with path.open("wb", buffering=0) as stream:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while stream.write(b"\0" * size):
                    pass
            except OSError:
                continue
