"""`kept runs` as a person and a program meet it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import kept
from kept.app.workspace import open_workspace
from kept.cli import show
from kept.settings.settings import Settings
from kept.tracking.runs import create_run, log_metrics

Ask = Callable[..., Any]


@pytest.fixture
def ask(command: Ask) -> Ask:
    """Asks `kept runs ...` in a folder of its own; the answer as JSON, or what was said."""
    return partial(command, "runs")


def train(model: str, seed: int, accuracy: float) -> str:
    with kept.track("churn", name=f"{model}-{seed}", seed=seed, params={"model": model}) as run:
        for step in range(20):
            run.log(loss=1 / (step + 1), step=step)
        run.log(accuracy=accuracy, step=19)
    return run.id


def test_runs_are_listed_and_shown_with_the_course_of_their_metrics(ask: Ask) -> None:
    run = train("trees", 1, 0.8)
    assert [one["run"]["id"] for one in ask("list", "--json")] == [run]
    assert "trees-1" in ask("list")
    said = ask("show", run[-8:])
    assert f"{run} logged, trees-1: finished" in said
    assert "loss" in said
    assert "█▄▃▂▂▂▂▂▁▁▁▁▁▁▁▁▁▁▁▁" in said
    assert ask("show", run, "--json")["metrics"] == {"accuracy": 0.8, "loss": 0.05}


def test_a_run_is_shown_with_its_files(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("twelve bytes")
    with kept.track("churn") as run:
        run.artifact(tmp_path / "notes.txt")
    assert repr(run) == f"TrackedRun({run.name!r}, experiment='churn', id={run.id!r})"
    assert re.search(r"notes\.txt +12\b", ask("show", run.id))


def test_a_list_shows_the_metrics_that_have_room(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    train("trees", 1, 0.8125)
    for width, shown in ((80, ["loss"]), (160, ["loss", "accuracy"])):
        monkeypatch.setattr(show.console, "width", width)
        _, heads, first, *_ = ask("list").splitlines()
        assert [name for name in ("loss", "accuracy") if name in heads] == shown
        assert ("0.8125" in first) == ("accuracy" in shown)
        assert "why" not in heads, "a column that tells nothing"


def test_runs_are_found_by_experiment_and_filter(ask: Ask) -> None:
    first, second = train("trees", 1, 0.8), train("linear", 1, 0.6)
    found = ask("list", "--experiment", "churn", "--where", "metrics.accuracy > 0.7", "--json")
    assert [one["run"]["id"] for one in found] == [first]
    said = ask("list", "--where", "params.model = 'linear'")
    assert second[-8:] in said
    assert "0.6" in said
    assert "There are: Default, churn" in ask("list", "--experiment", "chrn", code=1)


def test_a_list_names_experiments_and_keeps_times_whole(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    first = train("trees", 1, 0.8)
    assert ask("list").startswith("Runs of churn\n")
    with kept.track("late trains", name="a name that is longer than any column wants") as run:
        run.log(loss=1.0)
    monkeypatch.setattr(show.console, "width", 80)
    said = ask("list")
    assert max(map(len, said.splitlines())) <= 80
    runs = dict(re.findall(r"^(\w{8})(.*(?:\n .*)*)", said, flags=re.MULTILINE))
    assert "late trains" in runs[run.id[-8:]]
    assert "churn" in runs[first[-8:]]
    assert re.search(r"20\d\d-\d\d-\d\d \d\d:\d\dZ", runs[run.id[-8:]])
    assert "wants" in runs[run.id[-8:]]


def test_each_listing_has_one_form_and_a_kind_is_looked_for_before_the_limit(ask: Ask) -> None:
    workspace = open_workspace(Settings())
    first = create_run(workspace, project="churn", kind="training", name="first", created_by="ada").id
    log_metrics(workspace, first, {"loss": 0.5})
    old, new = train("trees", 1, 0.8), train("linear", 1, 0.6)
    plain = ask("list", "--json")
    assert [one["run"]["id"] for one in plain] == [new, old, first]
    assert plain == ask("list", "--experiment", "churn", "--json")
    assert plain[1]["params"] == {"model": "trees", "seed": "1"}
    assert {one["name"]: one["value"] for one in plain[1]["latest"]} == {"accuracy": 0.8, "loss": 0.05}
    for more in ([], ["--experiment", "churn"], ["--where", "metrics.loss < 1"]):
        found = ask("list", *more, "--kind", "training", "--limit", "1", "--json")
        assert [one["run"]["id"] for one in found] == [first]
        assert ask("list", *more, "--kind", "trial", "--json") == []
        said = " ".join(ask("list", *more, "--kind", "trainig", code=1).split())
        assert "no runs of the kind 'trainig'" in said
        assert "training, adoption, trial, logged" in said


def test_runs_are_compared_in_words(ask: Ask) -> None:
    for seed in range(4):
        train("linear", seed, 0.60 + 0.05 * seed)
        train("trees", seed, 0.70 + 0.051 * seed)
    said = ask("compare", "--experiment", "churn", "--metric", "accuracy", "--baseline", "linear")
    assert "model=trees" in said
    assert "accuracy ↑" in said
    assert "better: +0.1015" in said
    assert "over 4 pairs" in said
    found = ask("compare", "--by", "params.model", "--json")
    assert {one["metric"]: one["verdict"] for one in found["differences"]} == {
        "accuracy": "better",
        "loss": "undecided",
    }
    ids = [one["run"]["id"] for one in ask("list", "--json")][:2]
    assert "n=1, no interval" in ask("compare", *ids, "--by", "run")
    assert "no run fits" in ask("compare", "--where", "params.model = 'none'", code=1)


def test_runs_are_deleted_restored_and_removed_for_good(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    stays, goes = train("trees", 1, 0.8), train("linear", 1, 0.6)
    ask("delete", stays[-8:], goes, "--reason", "not needed")
    assert ask("list", "--json") == []
    assert ask("list", "--experiment", "churn").strip() == "No run fits."
    assert ask("list").startswith("No runs yet.")
    assert {one["run"]["id"] for one in ask("list", "--deleted", "--json")} == {stays, goes}
    assert "is restored" in ask("restore", stays[-8:])
    assert "0 runs with 0 points" in ask("gc")
    ahead = datetime.now(UTC) + timedelta(days=40)
    monkeypatch.setattr("kept.core.clock.SystemClock.now", lambda _: ahead)
    said = ask("gc")
    assert goes[-8:] in said
    assert "1 runs with 21 points and 0.0 MB of files would be removed" in said
    assert "kept runs gc --older-than 30d --yes does it" in " ".join(said.split())
    assert "stays because" not in said
    assert ask("list", "--deleted", "--json") != []
    assert "1 runs with 21 points and 0.0 MB of files are removed" in ask("gc", "--yes")
    assert ask("list", "--deleted", "--json") == []
    assert [one["run"]["id"] for one in ask("list", "--json")] == [stays]
    assert "is not a length of time" in ask("gc", "--older-than", "a while", code=1)


def test_nothing_waits_where_nothing_was_killed(ask: Ask) -> None:
    train("trees", 1, 0.8)
    assert "Nothing waits" in ask("sync")
