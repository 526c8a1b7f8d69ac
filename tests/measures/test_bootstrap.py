from typing import Any

import numpy as np
import pytest

from kept.core.errors import Invalid
from kept.measures.bootstrap import difference_interval, metric_interval
from kept.measures.losses import log_losses
from kept.measures.metrics import measure
from kept.measures.ranking import roc_auc


def two_models(random: np.random.Generator, rows: int) -> Any:
    labels = random.integers(0, 2, rows)
    champion = 1 / (1 + np.exp(-(labels - 0.5 + random.normal(0, 1.2, rows))))
    challenger = 1 / (1 + np.exp(-(labels - 0.5 + random.normal(0, 1.0, rows))))
    return labels, champion, challenger


@pytest.mark.parametrize("name", ["roc_auc", "accuracy", "brier_score", "f1"])
def test_the_interval_covers_the_true_value_about_as_often_as_it_says(name: str) -> None:
    random = np.random.default_rng(11)
    labels, champion, challenger = two_models(random, 200_000)
    truth = measure(name, labels, challenger) - measure(name, labels, champion)
    covered = 0
    for seed in range(120):
        rows = random.integers(0, labels.size, 300)
        found = difference_interval(
            name, labels[rows], champion[rows], challenger[rows], seed=seed, level=0.9, draws=150
        )
        covered += not found.excludes(truth)
    assert 0.82 <= covered / 120 <= 0.97


@pytest.mark.parametrize("name", ["roc_auc", "accuracy", "log_loss", "average_precision", "balanced_accuracy"])
def test_estimates_are_the_metric_and_lie_within(name: str) -> None:
    labels, champion, challenger = two_models(np.random.default_rng(2), 500)
    one = metric_interval(name, labels, champion, seed=1, draws=200)
    assert one.estimate == pytest.approx(measure(name, labels, champion))
    assert one.estimate is not None
    assert one.low is not None
    assert one.high is not None
    assert one.low < one.estimate < one.high
    both = difference_interval(name, labels, champion, challenger, seed=1, draws=200)
    assert both.estimate == pytest.approx(measure(name, labels, challenger) - measure(name, labels, champion))
    assert both == difference_interval(name, labels, champion, challenger, seed=1, draws=200)


def test_delong_agrees_with_the_bootstrap_it_replaces() -> None:
    random = np.random.default_rng(5)
    labels, champion, challenger = two_models(random, 800)
    fast = difference_interval("roc_auc", labels, champion, challenger, seed=0)
    draws = []
    for _ in range(400):
        rows = random.integers(0, 800, 800)
        draws.append(roc_auc(labels[rows], challenger[rows]) - roc_auc(labels[rows], champion[rows]))
    low, high = np.quantile(draws, [0.025, 0.975])
    assert fast.low == pytest.approx(low, abs=0.006)
    assert fast.high == pytest.approx(high, abs=0.006)


def test_many_rows_agree_with_the_bootstrap() -> None:
    random = np.random.default_rng(5)
    labels, champion, challenger = two_models(random, 2_000)
    found = difference_interval("log_loss", labels, champion, challenger, seed=0)
    differences = log_losses(labels, challenger) - log_losses(labels, champion)
    drawn = [differences[random.integers(0, 2_000, 2_000)].mean() for _ in range(2_000)]
    assert [found.low, found.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.003)


def test_perfect_order_leaves_room_below() -> None:
    found = metric_interval("roc_auc", np.array([0, 0, 0, 1, 1, 1]), np.arange(6) / 6, seed=0)
    assert found.estimate == found.high == 1.0
    assert found.low == pytest.approx(0.05 ** (1 / 3))


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "recall"])
def test_one_class_gives_no_interval(name: str) -> None:
    found = metric_interval(name, np.zeros(20), np.linspace(0, 1, 20), seed=0)
    assert (found.estimate, found.low, found.high, found.rows) == (None, None, None, 20)
    assert not found.excludes(0.0)


def test_a_clearly_better_regression_has_a_difference_below_zero() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=300)
    found = difference_interval(
        "rmse", truth, truth + random.normal(0, 2, 300), truth + random.normal(size=300), seed=3
    )
    assert found.excludes(0.0)
    assert found.estimate == pytest.approx(-1, abs=0.3)


def test_operational_metrics_are_refused() -> None:
    with pytest.raises(Invalid, match="not measured on rows"):
        metric_interval("size_mb", np.ones(2), np.ones(2), seed=0)
