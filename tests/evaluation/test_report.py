from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from kept.core.errors import Invalid
from kept.evaluation.comparison import compare
from kept.evaluation.report import EvaluationReport, evaluate
from kept.evaluation.slices import measure_slices
from kept.measures.arrays import Floats
from kept.measures.intervals import Interval
from kept.measures.metrics import metrics_for
from kept.plan.objective import at_least, at_most

OPERATIONAL = {"latency_p50_ms": 0.1, "latency_p99_ms": 0.3, "size_mb": 1.5}
OBJECTIVES = (at_least("roc_auc", 0.6), at_least("roc_auc", 0.55, by="origin"), at_most("size_mb", 20))


def rows(n: int = 600, seed: int = 0) -> tuple[Floats, Floats, pl.DataFrame]:
    random = np.random.default_rng(seed)
    scores = random.random(n)
    labels = (random.random(n) < scores).astype(float)
    origin = random.choice(["EWR", "JFK", "LGA"], n).tolist()
    origin[:20], origin[20:30] = ["TINY"] * 20, [None] * 10
    return scores, labels, pl.DataFrame({"origin": origin})


def test_a_binary_report_holds_every_metric_with_its_interval() -> None:
    scores, labels, frame = rows()
    report = evaluate("binary", (False, True), scores, labels, frame, OBJECTIVES, OPERATIONAL, seed=1)
    assert set(report.metrics) == {one.name for one in metrics_for("binary")}
    for one in report.metrics.values():
        assert one.low is not None
        assert one.estimate is not None
        assert one.high is not None
        assert one.low <= one.estimate <= one.high or one.method == "percentile bootstrap"
    assert sum(map(sum, report.confusion)) == report.rows == 600
    assert report.calibration is not None
    assert sum(report.calibration.rows) == 600
    assert report.operational == OPERATIONAL
    assert msgspec.json.decode(msgspec.json.encode(report), type=EvaluationReport) == report


def test_the_same_seed_gives_the_same_report() -> None:
    scores, labels, frame = rows(300)
    first, second = (
        evaluate("binary", (0, 1), scores, labels, frame, OBJECTIVES, OPERATIONAL, seed=5) for _ in range(2)
    )
    assert first == second


def test_slices_are_shown_largest_first_and_small_ones_are_not_judged() -> None:
    scores, labels, frame = rows()
    report = evaluate("binary", (0, 1), scores, labels, frame, OBJECTIVES, OPERATIONAL, seed=1)
    (group,) = report.slices
    assert (group.metric, group.by) == ("roc_auc", "origin")
    assert [one.value for one in group.slices if one.judged] == sorted(
        ("EWR", "JFK", "LGA"), key=lambda name: (-frame.filter(origin=name).height, name)
    )
    small = {one.value: one.note for one in group.slices if not one.judged}
    assert small == {
        "TINY": "not judged: it has 20 rows, fewer than 100",
        "(missing)": "not judged: it has 10 rows, fewer than 100",
    }
    assert sum(one.rows for one in group.slices) == 600


def test_a_slice_of_one_class_is_not_judged() -> None:
    frame = pl.DataFrame({"day": [1] * 150 + [2] * 150})
    labels = np.concatenate([np.ones(150), np.tile([0.0, 1.0], 75)])
    scores = np.linspace(0, 1, 300)
    found = measure_slices(at_least("roc_auc", 0.5, by="day"), labels, scores, frame, seed=0)
    notes = {one.value: one.note for one in found.slices}
    assert notes == {"1": "not judged: roc_auc is not defined on its rows", "2": ""}


def test_a_column_of_many_values_lists_no_more_than_the_largest_small_ones() -> None:
    frame = pl.DataFrame({"tail": [f"N{i}" for i in range(400)]})
    labels, scores = np.tile([0.0, 1.0], 200), np.linspace(0, 1, 400)
    found = measure_slices(at_least("roc_auc", 0.5, by="tail"), labels, scores, frame, seed=0)
    assert (len(found.slices), found.unlisted) == (50, 350)


def test_multiclass_and_regression_are_reported_too() -> None:
    random = np.random.default_rng(3)
    labels = random.integers(0, 3, 400)
    scores = random.dirichlet(np.ones(3), 400) + np.eye(3)[labels]
    frame = pl.DataFrame({"x": np.zeros(400)})
    scores /= scores.sum(axis=1, keepdims=True)
    many = evaluate("multiclass", ("a", "b", "c"), scores, labels, frame, (), {}, seed=0)
    assert len(many.confusion) == 3
    assert many.metrics["accuracy"].estimate == pytest.approx(np.mean(scores.argmax(axis=1) == labels))
    numbers = evaluate("regression", (), labels + 0.1, labels, frame, (), {}, seed=0)
    assert numbers.metrics["mae"].estimate == pytest.approx(0.1)
    assert numbers.calibration is None
    assert numbers.confusion == ()


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([], [], "no labelled rows"),
        ([0, 1], [0.1], r"shape \(1,\), not \(2,\)"),
        ([0, np.nan], [0.1, 0.2], "1 labels are missing"),
        ([0, 1], [0.1, np.inf], "answers 1 rows with no number. The first is row 1"),
        (["a", "b"], [0.1, 0.2], "must be numbers"),
    ],
)
def test_rows_that_cannot_be_judged_are_refused_in_plain_words(
    labels: list[Any], scores: list[float], message: str
) -> None:
    frame = pl.DataFrame({"x": range(len(labels))})
    with pytest.raises(Invalid, match=message):
        evaluate("binary", (0, 1), np.array(scores), np.array(labels), frame, (), {}, seed=0)


def test_a_slice_column_that_is_not_there_names_those_that_are() -> None:
    scores, labels, frame = rows(200)
    with pytest.raises(Invalid, match="for example origin"):
        evaluate("binary", (0, 1), scores, labels, frame, (at_least("roc_auc", 0.5, by="orign"),), {}, seed=0)


def test_intervals_are_over_windows_where_five_of_them_tell_and_else_over_rows() -> None:
    random = np.random.default_rng(0)
    labels = (random.random(600) < 0.4).astype(float)
    scores = np.clip(labels * 0.3 + random.random(600) * 0.7, 0, 1)
    frame = pl.DataFrame({"x": labels})
    days = np.repeat(np.arange(6), 100)
    found = evaluate("binary", (0, 1), scores, labels, frame, [], {}, seed=0, windows=days)
    assert {one.method for one in found.metrics.values()} == {"jackknife over windows"}
    few = evaluate("binary", (0, 1), scores, labels, frame, [], {}, seed=0, windows=days // 2)
    assert few == evaluate("binary", (0, 1), scores, labels, frame, [], {}, seed=0)
    # All that is positive is of one day: without it there is no area under a curve.
    one_day = np.where(days == 2, labels, 0.0)
    found = evaluate("binary", (0, 1), scores, one_day, frame, [], {}, seed=0, windows=days)
    assert found.metrics["roc_auc"].method == "DeLong"
    assert found.metrics["log_loss"].method == "jackknife over windows"


def test_intervals_of_slices_are_over_windows_too_where_five_of_a_slice_tell() -> None:
    """Each day has a mood of its own, so that the rows of a day are far fewer observations than they look."""
    random = np.random.default_rng(4)
    days = np.repeat(np.arange(20), 120)
    scores = random.random(days.size)
    mood = 0.3 * random.standard_normal(20)[days]
    labels = (random.random(days.size) < np.clip(scores + mood, 0, 1)).astype(float)
    # One slice lies in all of the windows, the other in three.
    frame = pl.DataFrame({"origin": np.where(days < 3, "NEW", "OLD")})
    promise = at_most("brier_score", 0.3, by="origin")
    by_rows = measure_slices(promise, labels, scores, frame, seed=0)
    found = evaluate("binary", (0, 1), scores, labels, frame, (promise,), {}, seed=0, windows=days).slices[0]
    old, new = found.slices
    assert (old.value, old.measured.method) == ("OLD", "jackknife over windows")
    assert (new.value, new.measured.method) == ("NEW", "skewness-corrected t")
    assert new == by_rows.slices[1]
    assert _width(old.measured) > 1.5 * _width(by_rows.slices[0].measured)
    assert old.measured.estimate == pytest.approx(by_rows.slices[0].measured.estimate)


def test_a_metric_that_hangs_on_one_window_is_compared_by_rows_and_says_so() -> None:
    random = np.random.default_rng(1)
    days = np.repeat(np.arange(8), 100)
    # All that is positive is of one day: without it there is no area under a curve.
    labels = ((random.random(800) < 0.5) & (days == 2)).astype(float)
    ours, theirs = (np.clip(0.5 * labels + 0.5 * random.random(800), 0.01, 0.99), random.random(800))
    promised = [at_least("roc_auc", 0.6)]
    found, alone = (
        compare("binary", (0, 1), labels, ours, theirs, name="champion", objectives=promised, seed=0, windows=each)
        for each in (days, None)
    )
    loss, area = found.differences
    assert (found.windows, loss.by_rows, area.by_rows) == (8, False, True)
    assert (area.low, area.high) == (alone.differences[1].low, alone.differences[1].high)
    assert area.clearly_better
    assert not alone.differences[1].by_rows


def _width(one: Interval) -> float:
    assert one.low is not None
    assert one.high is not None
    return one.high - one.low
