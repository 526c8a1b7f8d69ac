import json
import tomllib
from pathlib import Path

import polars as pl
import pytest
from pages import PAGES, ROOT, Block, blocks

from kept.app.connection import Embedded
from kept.app.workspace import embedded_actor, open_workspace
from kept.data.frames import call
from kept.plan.description import describe
from kept.plan.loading import load_project
from kept.settings.settings import Settings
from kept.tracking.comparing import compare_runs
from kept.tracking.comparison import CompareRuns
from kept.tracking.runs import ListRuns, list_runs

SHOWN = [block for page in PAGES for block in blocks(page)]


@pytest.mark.parametrize("block", [one for one in SHOWN if one.language == "python"], ids=str)
def test_python_compiles(block: Block) -> None:
    if "*, " not in block.text:  # a signature, of the reference
        compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", [one for one in SHOWN if one.language in {"toml", "json"}], ids=str)
def test_settings_and_answers_are_well_formed(block: Block) -> None:
    if block.language == "json":
        json.loads(block.text)
    else:
        tomllib.loads(block.text)


def test_the_project_of_the_readme_is_one(tmp_path: Path) -> None:
    block = next(one for one in blocks(ROOT / "README.md") if one.language == "python")
    (tmp_path / "readme_project.py").write_text(block.text)
    (tmp_path / "customers.csv").write_text(
        "customer_id,asked_at,plan,calls,churned\n1041,2026-01-02T00:00:00Z,basic,3,yes\n1042,2026-01-03,plus,?,no\n"
    )
    project = load_project(tmp_path / "readme_project.py")
    assert describe(project)["release"]["approvals"] == 1
    frame = call(project.the_dataset.function, None, where="README")
    assert frame.schema["customer_id"] == pl.String
    assert frame.schema["asked_at"] == pl.Datetime("us", "UTC")
    assert frame["calls"].to_list() == [3, None]


@pytest.mark.parametrize("page", ["log-runs.md", "compare-runs.md"])
def test_the_code_that_logs_runs_does(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KEPT_URL", raising=False)
    for block in blocks(ROOT / "docs" / "how-to" / page):
        if block.language == "python":
            exec(compile(block.text, str(block), "exec"), {})
    settings = Settings(workspace=".kept")
    connection = Embedded(open_workspace(settings), embedded_actor(settings, "python"))
    found = connection.call(compare_runs, CompareRuns(experiments=["churn"]))
    assert {run.status for run in connection.call(list_runs, ListRuns())} == {"finished"}
    if page == "compare-runs.md":
        assert [one.verdict for one in found.differences] == ["better"]


def test_the_readme_shows_about_thirty_lines() -> None:
    block = next(one for one in blocks(ROOT / "README.md") if one.language == "python")
    assert len([line for line in block.text.splitlines() if line.strip()]) <= 35
