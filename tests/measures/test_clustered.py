"""Two models on rows whose windows hang together."""

import numpy as np
import pytest

from kept.measures.arrays import Floats, Ints
from kept.measures.bootstrap import difference_interval, metric_interval
from kept.measures.clustered import clustered_difference, clustered_mean, clustered_metric
from kept.measures.intervals import Interval
from kept.measures.metrics import measure

_RUNS = 200


def scored(seed: int, days: int, rows: int, effect: float) -> tuple[Floats, Floats, Floats, Ints]:
    """Labels, two models that are equally good on the long run, each with its own good and bad days, and the days."""
    random = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), rows)
    truth = random.normal(size=day.size)
    labels = (random.random(day.size) < 1 / (1 + np.exp(-truth))).astype(np.float64)
    one, two = (
        1 / (1 + np.exp(-(truth + effect * random.normal(size=days)[day] + 0.3 * random.normal(size=day.size))))
        for _ in range(2)
    )
    return labels, one, two, day


@pytest.mark.parametrize("days", [5, 10])
def test_good_and_bad_days_are_told_from_a_better_model_at_the_declared_level(days: int) -> None:
    by_rows = by_windows = 0
    for seed in range(_RUNS):
        labels, one, two, day = scored(seed, days, 100, effect=0.5)
        by_rows += difference_interval("log_loss", labels, one, two, seed=seed, draws=200).excludes(0.0)
        by_windows += clustered_difference("log_loss", labels, one, two, day).excludes(0.0)
    # 5% is declared; three standard errors of so many runs lie above it.
    assert by_windows <= (0.05 + 3 * np.sqrt(0.05 * 0.95 / _RUNS)) * _RUNS
    assert by_rows > 0.15 * _RUNS


@pytest.mark.parametrize("metric", ["log_loss", "accuracy", "roc_auc", "f1", "expected_calibration_error"])
def test_a_better_model_is_seen_in_every_kind_of_metric(metric: str) -> None:
    labels, good, _, day = scored(1, 80, 50, effect=0.1)
    bad = np.random.default_rng(2).random(labels.size)
    found = clustered_difference(metric, labels, bad, good, day)
    assert found.estimate == pytest.approx(measure(metric, labels, good) - measure(metric, labels, bad))
    assert found.excludes(0.0)
    assert found.method == "jackknife over windows"


def test_leaving_windows_out_of_a_mean_is_leaving_their_rows_out() -> None:
    labels, one, two, day = scored(3, 7, 40, effect=0.3)
    found = clustered_difference("brier_score", labels, one, two, day)
    rows = (two - labels) ** 2 - (one - labels) ** 2
    means = rows.reshape(7, 40).mean(axis=1)
    assert found.low is not None
    assert found.high is not None
    error = means.std(ddof=1) / np.sqrt(7)
    assert (found.high - found.low) / 2 == pytest.approx(2.446912 * error, rel=1e-6)


def test_few_windows_and_a_metric_that_hangs_on_one_of_them_tell_nothing() -> None:
    labels, one, two, day = scored(4, 4, 30, effect=0.3)
    few = clustered_difference("log_loss", labels, one, two, day)
    assert (few.low, few.high) == (None, None)
    labels, one, two, day = scored(5, 6, 30, effect=0.3)
    only_first = np.where(day == 0, labels, 0.0)
    hangs = clustered_difference("roc_auc", only_first, one, two, day)
    assert hangs.estimate is not None
    assert hangs.low is None


def test_the_mean_of_gains_over_days_is_the_difference_of_means() -> None:
    labels, one, two, day = scored(6, 12, 40, effect=0.3)
    gains = (one - labels) ** 2 - (two - labels) ** 2
    found = clustered_mean(gains, day)
    other = clustered_difference("brier_score", labels, two, one, day)
    assert (found.estimate, found.low, found.high) == pytest.approx((other.estimate, other.low, other.high))
    assert clustered_mean(gains[:80], day[:80]).low is None
    assert clustered_mean(np.zeros(0), np.zeros(0)).estimate is None


@pytest.mark.parametrize("metric", ["log_loss", "f1", "roc_auc", "expected_calibration_error"])
def test_of_one_model_good_and_bad_days_widen_the_interval_and_independent_rows_do_not(metric: str) -> None:
    labels, one, _, day = scored(7, 30, 100, effect=0.0)
    by_rows = metric_interval(metric, labels, one, seed=0, draws=300)
    by_days = clustered_metric(metric, labels, one, day)
    assert by_days.estimate == by_rows.estimate
    assert 0.6 < width(by_days) / width(by_rows) < 1.8
    labels, one, _, day = scored(7, 30, 100, effect=1.0)
    assert width(clustered_metric(metric, labels, one, day)) > 1.25 * width(
        metric_interval(metric, labels, one, seed=0)
    )


def width(one: Interval) -> float:
    assert one.low is not None
    assert one.high is not None
    return one.high - one.low
