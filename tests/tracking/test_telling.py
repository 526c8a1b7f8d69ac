"""What a list shows beside each run, of all that runs logged."""

from datetime import UTC, datetime

from kept.tracking.points import Point
from kept.tracking.run import Run, RunData
from kept.tracking.telling import better_way, main_metrics, varied_params

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def run(metrics: list[str], **params: str) -> RunData:
    one = Run(id="1", project="", kind="logged", name="one", created_by="ada", created_at=NOW)
    return RunData(run=one, params=params, latest=[Point(name=name, value=1.0, at=1) for name in metrics])


def test_metrics_that_most_runs_have_come_first_and_of_these_the_telling_ones() -> None:
    found = [run(["a", "test_log_loss", "test_roc_auc"]), run(["a", "test_log_loss", "test_roc_auc", "accuracy"])]
    assert main_metrics(found, 4) == ["test_roc_auc", "test_log_loss", "a", "accuracy"]
    assert main_metrics(found, 1) == ["test_roc_auc"]
    assert main_metrics([], 3) == []


def test_parameters_are_told_that_differ_or_that_some_runs_lack() -> None:
    found = [run([], same="1", depth="3"), run([], same="1", depth="4", rate="0.1")]
    assert varied_params(found, 5) == ["depth", "rate"]
    assert varied_params(found[:1], 5) == []


def test_which_way_is_better_is_known_by_the_end_of_a_name_or_by_its_words() -> None:
    names = ["test_roc_auc", "val/Log-Loss", "training loss of the head", "BLEU", "rounds"]
    assert [better_way(name) for name in names] == ["higher", "lower", "lower", "higher", None]
