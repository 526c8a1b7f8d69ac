"""A newcomer's own files: a project is written for each, and runs, is released and answers without being edited."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from sklearn.datasets import load_diabetes, load_iris

from waiting import free_ports

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
PATIENCE_SECONDS = 60


def kept(folder: Path, *arguments: str, fails: bool = False) -> str:
    """What a command prints; it must end well, or badly where that is expected."""
    done = subprocess.run(
        [sys.executable, "-m", "kept", *arguments], cwd=folder, capture_output=True, text=True, timeout=540, check=False
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stderr if fails else done.stdout


def predictions(folder: Path, rows: Path) -> list[dict[str, Any]]:
    """The answers for a file, from a service that is started for it."""
    port = free_ports(2)
    service = subprocess.Popen([sys.executable, "-m", "kept", "serve", "--port", str(port)], cwd=folder)
    try:
        for _ in range(PATIENCE_SECONDS * 10):
            if service.poll() is None and ready(port + 1):
                break
            time.sleep(0.1)
        # It is found by the workspace, on whatever port it answers.
        found: list[dict[str, Any]] = json.loads(kept(folder, "predict", "--rows", str(rows), "--json"))
        return found
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(timeout=PATIENCE_SECONDS)


def ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v2/health/ready", timeout=PATIENCE_SECONDS).is_success
    except httpx.HTTPError:
        return False


def whole_way(
    tmp_path: Path, data: Path, target: str, *more: str
) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """What was guessed, the version that was trained, and answers for the very same file."""
    draft = json.loads(kept(tmp_path, "init", "mine", "--data", str(data), "--target", target, *more, "--json"))
    folder = tmp_path / "mine"
    version = json.loads(kept(folder, "run", "--json"))
    kept(folder, "release")
    return draft, version, predictions(folder, data)


def test_flowers_of_three_kinds(tmp_path: Path) -> None:
    iris = load_iris()
    data = tmp_path / "iris.csv"
    columns = {name: iris.data[:, place] for place, name in enumerate(iris.feature_names)}
    pl.DataFrame({**columns, "species": iris.target_names[iris.target].tolist()}).write_csv(data)
    draft, version, answers = whole_way(tmp_path, data, "species")
    assert draft["target"]["task"] == "multiclass"
    assert version["status"] == "accepted"
    said = [answer["prediction"] for answer in answers]
    right = sum(one == two for one, two in zip(said, iris.target_names[iris.target], strict=True))
    assert right > 135


def test_a_regression_in_parquet(tmp_path: Path) -> None:
    diabetes = load_diabetes()
    data = tmp_path / "diabetes.parquet"
    columns = {name: diabetes.data[:, place] for place, name in enumerate(diabetes.feature_names)}
    pl.DataFrame({**columns, "progression": diabetes.target}).write_parquet(data)
    draft, version, answers = whole_way(tmp_path, data, "progression")
    assert draft["target"]["task"] == "regression"
    assert version["status"] == "accepted"
    assert all(0 < answer["prediction"] < 400 for answer in answers)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data sets are not here")
def test_a_census_without_a_header_with_blanks_and_question_marks(tmp_path: Path) -> None:
    lines = (SHARED / "adult-train.csv").read_text().splitlines()[:4_000]
    data = tmp_path / "adult.csv"
    data.write_text("\n".join([*lines, ""]))
    draft, version, answers = whole_way(tmp_path, data, "col_15")
    taken = {one["name"]: one for one in draft["columns"]}
    assert taken["col_2"]["marks"] == ["?"]
    assert taken["col_1"]["taken"] == "number"
    assert draft["target"]["classes"].keys() == {"<=50K", ">50K"}
    assert version["status"] == "accepted"
    assert {answer["prediction"] for answer in answers} == {"<=50K", ">50K"}
    assert len(answers) == 4_000


def test_events_in_time_with_a_key(tmp_path: Path) -> None:
    rows = 1_200
    frame = pl.DataFrame({"order_id": [f"o-{row}" for row in range(rows)]}).with_columns(
        placed_at=pl.datetime(2024, 1, 1) + pl.duration(hours=pl.int_range(rows)),
        size=pl.int_range(rows) * 7 % 50,
        shop=pl.when(pl.int_range(rows) % 3 == 0).then(pl.lit("north")).otherwise(pl.lit("south")),
    )
    frame = frame.with_columns(late=(pl.col("size") + pl.int_range(rows) * 13 % 20 > 30).cast(pl.Int8))
    data = tmp_path / "orders.csv"
    frame.write_csv(data)
    draft, version, answers = whole_way(tmp_path, data, "late", "--time", "placed_at")
    assert {one["name"]: one["taken"] for one in draft["columns"]}["order_id"] == "key"
    assert "by_time" in (tmp_path / "mine" / "project.py").read_text()
    assert version["status"] == "accepted"
    assert len(answers) == rows


def test_what_goes_wrong_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("a,b\n" + "1,2\n" * 60 + "3")
    asked = ("init", "mine", "--data", str(data), "--target", "b")
    assert "line 62: it has 1 values" in kept(tmp_path, *asked, fails=True)
    data.write_text("a,b\n" + "1,2\n" * 60)
    assert "every row has the same value" in kept(tmp_path, *asked, fails=True)
    assert not (tmp_path / "mine").exists()
    assert "no such file" in kept(tmp_path, "init", "mine", "--data", "none.csv", "--target", "b", fails=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    assert "not empty" in kept(tmp_path, *asked, fails=True)
