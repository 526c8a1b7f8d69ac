"""How often intervals of few rows hold the value that many rows have: as often as they say, also of rare outcomes."""

from collections.abc import Callable

import numpy as np
import pytest

from kept.measures.bootstrap import metric_interval
from kept.measures.intervals import Interval
from kept.measures.metrics import measure

RUNS = 150
Rows = tuple[np.ndarray, np.ndarray]


def classes(random: np.random.Generator, rows: int, *, positive: float, sharp: float = 1.5) -> Rows:
    """Labels and calibrated scores."""
    scores = 1 / (1 + np.exp(-(sharp * random.standard_normal(rows) + np.log(positive / (1 - positive)))))
    return (random.random(rows) < scores).astype(float), scores


def sharp(random: np.random.Generator, rows: int) -> Rows:
    return classes(random, rows, positive=0.3, sharp=6.0)


def even(random: np.random.Generator, rows: int) -> Rows:
    return classes(random, rows, positive=0.4)


def rare(random: np.random.Generator, rows: int) -> Rows:
    return classes(random, rows, positive=0.02)


def numbers(random: np.random.Generator, rows: int) -> Rows:
    said = random.standard_normal(rows)
    return said + random.standard_normal(rows), said


def intervals(name: str, drawn: Callable[[np.random.Generator, int], Rows], rows: int) -> tuple[float, list[Interval]]:
    """The metric of many rows, and its intervals on few."""
    truth = measure(name, *drawn(np.random.default_rng(0), 400_000))
    random = np.random.default_rng(1)
    return truth, [metric_interval(name, *drawn(random, rows), seed=0) for _ in range(RUNS)]


@pytest.mark.parametrize(
    ("name", "drawn", "rows"),
    [
        ("accuracy", sharp, 30),
        ("accuracy", rare, 30),
        ("precision", sharp, 30),
        ("precision", even, 100),
        ("recall", sharp, 30),
        ("recall", rare, 300),
        ("f1", sharp, 30),
        ("f1", even, 30),
        ("f1", rare, 300),
        ("balanced_accuracy", sharp, 30),
        ("balanced_accuracy", rare, 300),
        ("log_loss", sharp, 30),
        ("log_loss", rare, 30),
        ("log_loss", rare, 100),
        ("brier_score", sharp, 30),
        ("brier_score", rare, 30),
        ("average_precision", sharp, 30),
        ("average_precision", rare, 100),
        ("roc_auc", even, 30),
        ("roc_auc", rare, 100),
        ("mae", numbers, 30),
        ("rmse", numbers, 30),
    ],
)
def test_an_interval_of_95_percent_holds_the_value_about_as_often(
    name: str, drawn: Callable[[np.random.Generator, int], Rows], rows: int
) -> None:
    truth, found = intervals(name, drawn, rows)
    known = [one for one in found if one.low is not None]
    # Of 95% in 150 runs, one in a thousand series shows fewer than 89%.
    assert sum(one.excludes(truth) for one in known) <= 0.11 * len(known)


def test_rows_that_are_all_right_do_not_show_that_all_will_be() -> None:
    found = metric_interval("accuracy", np.ones(30), np.full(30, 0.9), seed=0)
    assert (found.estimate, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.886, abs=0.001)


def test_a_loss_without_a_positive_leaves_room_for_what_one_would_cost() -> None:
    found = metric_interval("log_loss", np.zeros(50), np.full(50, 0.01), seed=0)
    assert found.estimate == pytest.approx(0.01, abs=0.001)
    assert found.high is not None
    assert found.high > 0.05


def test_perfect_order_of_few_positives_may_be_luck() -> None:
    found = metric_interval("average_precision", np.repeat([0.0, 1.0], 5), np.linspace(0, 1, 10), seed=0)
    assert (found.estimate, found.method) == (1.0, "logit")
    assert found.low is not None
    assert found.low < 0.7
    assert found.high == 1.0


def test_one_class_does_not_tell_the_balance_of_two() -> None:
    found = metric_interval("balanced_accuracy", np.zeros(30), np.full(30, 0.1), seed=0)
    assert (found.estimate, found.low, found.high) == (1.0, None, None)


@pytest.mark.parametrize("name", ["mae", "rmse", "mape"])
def test_errors_that_are_all_alike_are_known_and_one_alone_is_not(name: str) -> None:
    same = metric_interval(name, np.full(20, 2.0), np.full(20, 3.0), seed=0)
    assert same.low == same.high == pytest.approx(same.estimate)
    alone = metric_interval(name, np.full(1, 2.0), np.full(1, 3.0), seed=0)
    assert (alone.low, alone.high) == (None, None)


def test_errors_near_the_largest_number_have_an_interval() -> None:
    truth = np.array([1e200, -1e200, 2e200, 0.0])
    found = metric_interval("rmse", truth, np.zeros(4), seed=0)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low < 1.22e200 < found.high < 1e202
