"""An import that is killed with -9 goes on when it is run again, and ends with the same."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from mlflow_database import RUN, RUNS, fill, opened


def _command(tmp_path: Path, workspace: str) -> list[str]:
    source = str(tmp_path / "mlflow.db")
    return [
        sys.executable,
        "-m",
        "kept",
        "import",
        "mlflow",
        source,
        "--workspace",
        str(tmp_path / workspace),
        "--json",
    ]


def _points(database: Path) -> int:
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            found: tuple[int] = connection.execute("SELECT count(*) FROM points").fetchone()
        connection.close()
    except sqlite3.OperationalError:
        return 0
    return found[0]


def _report(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=540, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_killed_import_goes_on(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path}/mlflow.db") as rows:
        fill(rows, tmp_path / "mlruns")
        for number in range(4):
            run = f"{number:032d}"
            place = str(tmp_path / "mlruns" / "7" / run / "artifacts")
            rows.put(RUNS, {"run_uuid": run, "name": f"r{number}", "experiment_id": 7, "artifact_uri": place})
            for metric in range(3):
                rows.points(run, f"m{metric}", 20_000)
        rows.points(RUN, "much", 130_000)
    command, database = _command(tmp_path, "workspace"), tmp_path / "workspace" / "kept.db"
    seen = 0
    kills = 0
    for _ in range(4):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        # Killed as soon as something more is there: in the middle of what comes next.
        while process.poll() is None and _points(database) <= seen and time.monotonic() < deadline:
            time.sleep(0.01)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait(60)
        seen = _points(database)
    assert kills >= 2
    report = _report(command)
    assert report["complete"]
    assert {one["changed"] for one in report["tallies"].values()} == {0}
    assert _points(database) == 4 * 3 * 20_000 + 130_000 + 255
    again = _report([*command, "--thorough"])
    assert again["complete"]
    tallies = again["tallies"]
    assert {(one["new"], one["changed"]) for one in tallies.values()} == {(0, 0)}
    assert tallies["points"]["verified"] == _points(database)
    assert (tallies["runs"]["verified"], tallies["files"]["verified"]) == (7, 4)
