"""`kept import mlflow` as a person calls it: what it prints, and how it ends."""

import json
import sys
from pathlib import Path

import pytest
from mlflow_folder import RUN, fill, run

from kept.cli.main import main
from kept.core.errors import Forbidden
from kept.governance.actor import Actor, automation
from kept.governance.workspace import Workspace
from kept.registry.imported import ImportedRegisteredModel, ImportRegisteredModel
from kept.registry.importing import import_registered_model
from kept.tracking.imported import ImportRuns, moment_at
from kept.tracking.importing import import_runs


@pytest.fixture
def mlruns(tmp_path: Path) -> Path:
    fill(tmp_path / "mlruns")
    return tmp_path / "mlruns"


def _call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["kept", "import", "mlflow", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_it_ends_well_when_all_came(
    mlruns: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _call(monkeypatch, mlruns, "--workspace", tmp_path / "w") == 0
    printed = capsys.readouterr()
    assert "Complete." in printed.out
    assert not printed.err.strip()


def test_it_says_what_is_missing_and_ends_with_3(
    mlruns: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(mlruns / "571", "2" * 32, artifact_uri="s3://store/571/files", run_name="\x1b[31mred")
    assert _call(monkeypatch, mlruns, "--workspace", tmp_path / "w") == 3
    printed = capsys.readouterr()
    assert "s3:" in printed.out
    assert "\x1b[31m" not in printed.out
    assert "incomplete" in printed.err


def test_programs_get_json(
    mlruns: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _call(monkeypatch, mlruns, "--workspace", tmp_path / "w", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["complete"], report["tallies"]["runs"]["verified"]) == (True, 1)


def test_a_rehearsal_makes_no_workspace(
    mlruns: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _call(monkeypatch, mlruns, "--workspace", tmp_path / "w", "--dry-run") == 0
    assert "would be brought" in capsys.readouterr().out
    assert not (tmp_path / "w").exists()


def test_the_folder_above_mlruns_will_do(mlruns: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _call(monkeypatch, mlruns.parent, "--workspace", tmp_path / "w") == 0


def test_it_works_on_this_machine_only(mlruns: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT_URL", "http://127.0.0.1:9")
    assert _call(monkeypatch, mlruns) == 1


def test_only_who_administers_may(workspace: Workspace) -> None:
    somebody: Actor = automation("worker")
    with pytest.raises(Forbidden):
        import_runs(workspace, somebody, ImportRuns(source="here"))
    moment = moment_at(0, where="here")
    model = ImportedRegisteredModel(name="m", created_at=moment, updated_at=moment)
    with pytest.raises(Forbidden):
        import_registered_model(workspace, somebody, ImportRegisteredModel(source="here", model=model, mark=RUN))
