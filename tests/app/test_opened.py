"""`kept.open`, as somebody in a notebook uses it."""

import os
from pathlib import Path

import pytest

import kept
from kept.core.errors import Invalid, NotFound


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two seeds of two models, logged in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("KEPT_")]:
        monkeypatch.delenv(name)
    made = []
    for model, level in (("linear", 0.6), ("trees", 0.7)):
        for seed in range(2):
            with kept.track("churn", name=f"{model}{seed}", seed=seed, params={"model": model}) as run:
                run.log(accuracy=level + 0.1 * seed, step=0)
                if model == "trees":
                    run.log(loss=0.5, step=1)
            made.append(run.id)
    return made


def test_runs_are_found_and_shown(runs: list[str]) -> None:
    opened = kept.open()
    assert [one.run.id for one in opened.runs("churn")] == runs[::-1]
    assert [one.run.name for one in opened.runs(where="metrics.accuracy > 0.65 and params.model = 'linear'")] == [
        "linear1"
    ]
    assert opened.run(runs[0]).metrics == {"accuracy": 0.6}
    assert [point.step for point in opened.history(runs[2], "loss")] == [1]
    with pytest.raises(NotFound, match="There are: Default, churn"):
        opened.runs("chrn")


def test_runs_are_a_table(runs: list[str]) -> None:
    found = kept.open(".kept").frame("churn")
    assert found["run"].to_list() == runs[::-1]
    assert found["params.model"].to_list() == ["trees", "trees", "linear", "linear"]
    assert found["metrics.loss"].to_list() == [0.5, 0.5, None, None]
    assert kept.open().frame(where="params.model = 'none'").height == 0


def test_runs_are_compared(runs: list[str]) -> None:
    found = kept.open().compare("churn", metrics=["accuracy"], baseline="linear")
    assert [one.verdict for one in found.differences] == ["better"]
    assert [group.runs for group in kept.open().compare(runs=runs[:2], by=["name"]).groups] == [runs[:1], runs[1:2]]


def test_any_operation_can_be_called_by_name(runs: list[str]) -> None:
    opened = kept.open()
    assert opened.call("runs.delete", run=runs[0], reason="wrong").deleted_at is not None
    assert len(opened.runs()) == 3
    with pytest.raises(NotFound, match="no operation"):
        opened.call("runs.destroy")
    with pytest.raises(Invalid, match="unknown field"):
        opened.call("runs.delete", rnu="x", run="y")


def test_a_folder_that_is_no_workspace_is_told(runs: list[str], tmp_path: Path) -> None:
    assert len(runs) == 4
    with pytest.raises(NotFound, match="no workspace"):
        kept.open(str(tmp_path / "elsewhere"))
