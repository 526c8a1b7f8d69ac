"""What MLflow itself wrote, brought over with `kept import`: its client reads the same from Kept."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bringing import Serve

from waiting import free_ports, wait_until_ready

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "scripts"


def _environment(name: str) -> Path:
    found = ROOT / name
    if not (found / ".ready").exists():
        pytest.skip(f"the environment {name} was not made: run make {name}/.ready")
    return found / "bin" / "python"


def _script(python: Path, name: str, home: Path, *arguments: str) -> str:
    surroundings = {
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "GIT_PYTHON_REFRESH": "quiet",
        "HOME": str(home),
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run(
        [str(python), "-W", "ignore", str(SCRIPTS / f"{name}.py"), *arguments],
        cwd=home,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    return done.stdout


def _import(source: str, workspace: Path, *options: str) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "kept",
        "import",
        "mlflow",
        source,
        "--workspace",
        str(workspace),
        "--json",
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=540, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def _mlflow_server(python: Path, folder: Path) -> Iterator[str]:
    port = free_ports()
    command = [str(python), "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "mlartifacts"), "--host", "127.0.0.1", "--port", str(port)]
    log = folder / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--workers", "1"],
            stdout=stream,
            stderr=stream,
            cwd=folder,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(process, f"{address}/health", log)
        yield address
    finally:
        process.terminate()
        process.wait(60)


def _expect_twice(source: str, workspace: Path) -> None:
    """Everything comes at the first import, nothing at the second."""
    first = _import(source, workspace)["tallies"]
    assert (first["runs"]["new"], first["runs"]["verified"]) == (3, 3)
    assert first["points"]["new"] == first["points"]["verified"] == first["points"]["found"] > 500
    assert first["files"]["verified"] == first["files"]["new"] == 3
    assert (first["logged models"]["verified"], first["versions"]["verified"]) == (1, 2)
    second = _import(source, workspace)["tallies"]
    assert {kind: (one["new"], one["changed"]) for kind, one in second.items()} == dict.fromkeys(second, (0, 0))


def test_a_folder_reads_the_same_from_kept(tmp_path: Path, serve: Serve) -> None:
    python = _environment(".venv-mlflow")
    mlruns = tmp_path / "mlruns"
    _script(python, "fill", tmp_path, str(mlruns), "")
    before = json.loads(_script(python, "tell", tmp_path, str(mlruns)))
    workspace = tmp_path / "workspace"
    _expect_twice(str(mlruns), workspace)
    with serve(workspace) as address:
        assert json.loads(_script(python, "tell", tmp_path, address)) == before


def test_a_database_and_a_server_read_the_same_from_kept(tmp_path: Path, serve: Serve) -> None:
    python = _environment(".venv-bench-mlflow")
    database = f"sqlite:///{tmp_path}/mlflow.db"
    _script(python, "fill", tmp_path, database, str(tmp_path / "mlruns" / "1"))
    before = json.loads(_script(python, "tell", tmp_path, database))
    workspace = tmp_path / "workspace"
    _expect_twice(str(tmp_path / "mlflow.db"), workspace)
    with serve(workspace) as address:
        assert json.loads(_script(python, "tell", tmp_path, address)) == before
    other = tmp_path / "other"
    with _mlflow_server(python, tmp_path) as mlflow:
        _expect_twice(mlflow, other)
    with serve(other) as address:
        assert json.loads(_script(python, "tell", tmp_path, address)) == before
