"""`kept score` as OpenLineage tells of it."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from kept.app.scoring.unfinished import note_killed, under_way
from kept.app.workspace import embedded_actor, open_workspace
from kept.cli.main import main
from kept.core.ids import new_id
from kept.governance.workspace import Workspace
from kept.packaging.bundle import store_bundle
from kept.registry.lineage_telling import Due, note, tell_all
from kept.registry.openlineage import Job, Work
from kept.settings.settings import Settings
from openlineage_events import check
from registering import register


@pytest.fixture
def registered(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with a registered model, which tells a file of what is done."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEPT_LINEAGE_FILE", "lineage.jsonl")
    settings = Settings(workspace=str(tmp_path / ".kept"), lineage_file="lineage.jsonl")
    workspace = open_workspace(settings)
    digest = store_bundle(bundle, workspace.blobs)
    register(workspace, embedded_actor(settings, "python"), "shop", digest, ("no", "yes"))
    return workspace


def score(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["kept", "score", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(str(ended.value.code))


def told(workspace: Workspace) -> list[dict[str, Any]]:
    tell_all(workspace)
    path = workspace.root / "lineage.jsonl"
    found = [msgspec.json.decode(line) for line in path.read_text().splitlines()] if path.exists() else []
    for event in found:
        check(event)
    return found


def test_rows_model_and_scores_are_told_with_their_versions(
    registered: Workspace, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.write_delta(tmp_path / "lake")
    rows.write_delta(tmp_path / "lake", mode="append")
    assert score(monkeypatch, "shop", "lake", "scores") == 0
    began, ended = told(registered)
    assert (began["eventType"], began["outputs"], ended["eventType"]) == ("START", [], "COMPLETE")
    assert ended["job"]["name"] == "shop.scoring"
    lake, model = ended["inputs"]
    assert (lake["namespace"], lake["name"]) == ("file", str(tmp_path / "lake"))
    assert lake["facets"]["version"]["datasetVersion"] == "1"
    assert (model["name"], model["facets"]["version"]["datasetVersion"]) == ("models/shop", "1")
    (scores,) = ended["outputs"]
    assert scores["name"] == str(tmp_path / "scores")
    assert int(scores["facets"]["version"]["datasetVersion"]) >= 0


def test_what_went_wrong_is_told(
    registered: Workspace, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.drop("count").write_parquet(tmp_path / "rows.parquet")
    assert score(monkeypatch, "shop", "rows.parquet", "scores.parquet") == 1
    _, ended = told(registered)
    assert ended["eventType"] == "FAIL"
    assert "there is no column 'count'" in ended["run"]["facets"]["errorMessage"]["message"]


KILLED = """
import sys
import threading

import kept.cli.score as command
from kept.cli.main import main

def die(done, total):
    if done:
        print("scored", flush=True)
        sys.stdin.read()

plain = command.score
command.score = lambda *given, progress, **more: plain(*given, progress=die, piece=100, **more)
main()
"""


def test_the_end_of_what_was_killed_is_told_by_who_comes_next(
    registered: Workspace, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.write_parquet(tmp_path / "rows.parquet")
    command = [sys.executable, "-c", KILLED, "score", "shop", "rows.parquet", "scores.parquet"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "scored\n"
        assert note_killed(registered) == 0
        process.kill()
    assert [event["eventType"] for event in told(registered)] == ["START"]
    assert score(monkeypatch, "shop", "rows.parquet", "scores.parquet") == 0
    began, *later = told(registered)
    assert [event["eventType"] for event in later] == ["ABORT", "START", "COMPLETE"]
    assert later[0]["run"]["runId"] == began["run"]["runId"] != later[1]["run"]["runId"]
    assert "killed" in later[0]["run"]["facets"]["errorMessage"]["message"]
    assert note_killed(registered) == 0
    assert list((registered.root / "scoring").iterdir()) == []


def test_what_was_killed_when_it_had_told_its_end_is_not_told_of_again(registered: Workspace) -> None:
    moment = registered.clock.now()
    for ended in (True, False):
        work = Work(id=new_id(), job=Job(name="shop.scoring", kind="SCORING"))
        with under_way(registered, work):
            (path,) = (registered.root / "scoring").iterdir()
            content = path.read_bytes()
        path.write_bytes(content)
        if ended:
            note(registered, [Due(work.id, event, moment, lambda: work) for event in ("START", "COMPLETE")])  # noqa: B023
        # Killed before it could say that it had begun: both are told.
        assert note_killed(registered) == (0 if ended else 2)
        assert not path.exists()


def test_a_bundle_of_no_workspace_is_nobodys_work(
    registered: Workspace, bundle: Path, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.write_parquet(tmp_path / "rows.parquet")
    assert score(monkeypatch, str(bundle), "rows.parquet", "scores.parquet") == 0
    assert told(registered) == []


def test_several_may_look_for_what_was_killed_at_once(registered: Workspace) -> None:
    folder = registered.root / "scoring"
    for _ in range(5):
        folder.mkdir(exist_ok=True)
        for _ in range(40):
            # Empty, or not whole: of a machine that lost its power.
            (folder / f"{new_id()}.json").write_bytes(b"")
            (folder / f"{new_id()}.json").write_bytes(bytes(40))
        with ThreadPoolExecutor(8) as pool:
            assert [one.result() for one in [pool.submit(note_killed, registered) for _ in range(8)]] == [0] * 8
        assert list(folder.iterdir()) == []


def test_what_is_only_beginning_is_nobodys_to_end(registered: Workspace) -> None:
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            note_killed(registered)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(300):
            with under_way(registered, Work(id=new_id(), job=Job(name="shop.scoring", kind="SCORING"))):
                assert note_killed(registered) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert told(registered) == []
