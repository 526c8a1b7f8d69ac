import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from kept.core.errors import Invalid
from kept.measures.arrays import Floats
from kept.measures.bootstrap import metric_interval
from kept.measures.calibration import expected_calibration_error, reliability_curve
from kept.measures.clustered import clustered_metric
from kept.measures.covariates import Covariates
from kept.measures.direct_loss import EstimatedError, estimate_error
from kept.measures.losses import row_loss
from kept.measures.metrics import CATALOG, measure, metric, metrics_for

SKLEARN_BINARY = {
    "roc_auc": sk.roc_auc_score,
    "average_precision": sk.average_precision_score,
    "log_loss": sk.log_loss,
    "brier_score": sk.brier_score_loss,
    "accuracy": lambda y, p: sk.accuracy_score(y, p >= 0.5),
    "balanced_accuracy": lambda y, p: sk.balanced_accuracy_score(y, p >= 0.5),
    "precision": lambda y, p: sk.precision_score(y, p >= 0.5),
    "recall": lambda y, p: sk.recall_score(y, p >= 0.5),
    "f1": lambda y, p: sk.f1_score(y, p >= 0.5),
    "macro_f1": lambda y, p: sk.f1_score(y, p >= 0.5, average="macro"),
}
SKLEARN_MULTICLASS = {
    "roc_auc": lambda y, p: sk.roc_auc_score(y, p, multi_class="ovr"),
    "log_loss": sk.log_loss,
    "brier_score": sk.brier_score_loss,
    "accuracy": lambda y, p: sk.accuracy_score(y, p.argmax(1)),
    "balanced_accuracy": lambda y, p: sk.balanced_accuracy_score(y, p.argmax(1)),
    "macro_f1": lambda y, p: sk.f1_score(y, p.argmax(1), average="macro"),
}
SKLEARN_REGRESSION = {
    "mae": sk.mean_absolute_error,
    "rmse": sk.root_mean_squared_error,
    "mape": sk.mean_absolute_percentage_error,
    "median_absolute_error": sk.median_absolute_error,
    "r2": sk.r2_score,
}


def binary_rows(seed: int, rows: int = 400, digits: int = 2) -> Any:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, rows)
    scores = np.clip(0.3 + 0.3 * labels + random.normal(0, 0.3, rows), 0, 1).round(digits)
    return labels, scores


def multiclass_rows(seed: int, rows: int = 300, classes: int = 4) -> Any:
    random = np.random.default_rng(seed)
    labels = np.append(np.arange(classes), random.integers(0, classes, rows - classes))
    raw = random.random((rows, classes)) + 0.7 * (labels[:, None] == np.arange(classes))
    return labels, raw / raw.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", SKLEARN_BINARY)
@pytest.mark.parametrize("seed", range(4))
def test_binary_metrics_equal_scikit_learn(name: str, seed: int) -> None:
    labels, scores = binary_rows(seed)
    assert measure(name, labels, scores) == pytest.approx(SKLEARN_BINARY[name](labels, scores), rel=1e-12)


@pytest.mark.parametrize("name", SKLEARN_MULTICLASS)
@pytest.mark.parametrize("seed", range(4))
def test_multiclass_metrics_equal_scikit_learn(name: str, seed: int) -> None:
    labels, scores = multiclass_rows(seed)
    assert measure(name, labels, scores) == pytest.approx(SKLEARN_MULTICLASS[name](labels, scores), rel=1e-12)


@pytest.mark.parametrize("name", SKLEARN_REGRESSION)
@pytest.mark.parametrize("seed", range(4))
def test_regression_metrics_equal_scikit_learn(name: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.normal(3, 2, 200)
    predicted = labels + random.normal(0, 1, 200)
    assert measure(name, labels, predicted) == pytest.approx(SKLEARN_REGRESSION[name](labels, predicted), rel=1e-12)


def test_every_metric_is_compared_with_scikit_learn_or_tested_alone() -> None:
    tested = {*SKLEARN_BINARY, *SKLEARN_MULTICLASS, *SKLEARN_REGRESSION, "expected_calibration_error"}
    assert {name for name, each in CATALOG.items() if not each.operational} == tested


@given(
    labels=hnp.arrays(np.int64, st.integers(0, 30), elements=st.integers(0, 1)),
    data=st.data(),
)
def test_binary_metrics_never_warn_and_ignore_the_order_of_rows(labels: Floats, data: st.DataObject) -> None:
    scores = data.draw(hnp.arrays(np.float64, labels.size, elements=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])))
    order = np.array(data.draw(st.permutations(range(labels.size))), dtype=int)
    for each in metrics_for("binary"):
        value = measure(each, labels, scores)
        assert value == pytest.approx(measure(each, labels[order], scores[order]), rel=1e-12, nan_ok=True)
        if labels.size == 0:
            assert math.isnan(value)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "recall"])
def test_a_metric_that_needs_positives_is_nan_without_them(name: str) -> None:
    assert math.isnan(measure(name, np.zeros(5), np.linspace(0, 1, 5)))


def test_area_is_nan_when_all_are_positive() -> None:
    assert math.isnan(measure("roc_auc", np.ones(5), np.linspace(0, 1, 5)))


def test_multiclass_area_leaves_out_classes_that_do_not_occur() -> None:
    labels, scores = multiclass_rows(1)
    present = labels < 3
    one_by_one = [sk.roc_auc_score(labels[present] == k, scores[present, k]) for k in range(3)]
    assert measure("roc_auc", labels[present], scores[present]) == pytest.approx(np.mean(one_by_one))


@pytest.mark.parametrize("missing", [math.nan, math.inf])
def test_a_missing_score_makes_the_metric_undefined(missing: float) -> None:
    labels, scores = binary_rows(0, 10)
    scores[3] = missing
    assert all(math.isnan(measure(each, labels, scores)) for each in metrics_for("binary"))


def test_r2_of_a_constant_label_is_not_defined() -> None:
    assert math.isnan(measure("r2", np.ones(4), np.arange(4.0)))


def test_unknown_name_lists_close_ones() -> None:
    with pytest.raises(Invalid, match="roc_auc"):
        metric("auc_roc")


def test_operational_metrics_are_declared_and_measured_elsewhere() -> None:
    assert metric("latency_p99_ms").better == "lower"
    with pytest.raises(Invalid, match="running service"):
        metric("size_mb").compute(np.ones(1), np.ones(1))
    assert "size_mb" not in {each.name for each in metrics_for("binary")}


@pytest.mark.parametrize(
    ("labels", "scores"),
    [
        (np.ones(3), np.ones(4)),
        (np.ones((3, 1)), np.ones(3)),
        (np.array([0, 1, 2]), np.array([0.1, 0.2, 0.3])),
        (np.array([0.5, 1.0]), np.array([0.1, 0.2])),
        (np.array(["yes", "no"]), np.array([0.1, 0.2])),
    ],
)
def test_rows_that_do_not_fit_are_refused(labels: Floats, scores: Floats) -> None:
    with pytest.raises(Invalid):
        measure("log_loss", labels, scores)


def test_calibration_error_is_small_for_honest_scores_and_large_for_boastful_ones() -> None:
    random = np.random.default_rng(3)
    truth = random.uniform(0.1, 0.9, 20_000)
    labels = (random.random(truth.size) < truth).astype(float)
    assert expected_calibration_error(labels, truth) < 0.02
    boastful = np.where(truth > 0.5, 1.0, 0.0)
    assert expected_calibration_error(labels, boastful) == pytest.approx(0.3, abs=0.02)


def test_calibration_error_by_hand() -> None:
    labels = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 0.0])
    scores = np.array([0.1, 0.1, 0.1, 0.9, 0.9, 0.9])
    assert expected_calibration_error(labels, scores, bins=2) == pytest.approx((0.7 / 3 + 0.7 / 3) / 2)


@given(hnp.arrays(np.float64, st.integers(1, 200), elements=st.sampled_from([0.0, 0.2, 0.4, 0.7])))
def test_reliability_curve_holds_each_row_once_and_rises(scores: Floats) -> None:
    labels = (np.arange(scores.size) % 2).astype(float)
    curve = reliability_curve(labels, scores)
    assert sum(curve.rows) == scores.size
    assert list(curve.mean_score) == sorted(curve.mean_score)
    assert sum(n * v for n, v in zip(curve.rows, curve.observed, strict=True)) == pytest.approx(labels.sum())


def test_bounded_losses_lie_between_zero_and_one() -> None:
    labels, scores = binary_rows(0)
    classes, probabilities = multiclass_rows(0)
    for loss in ("zero_one", "brier"):
        for values in (row_loss(loss, labels, scores), row_loss(loss, classes, probabilities)):
            assert values.shape in {(400,), (300,)}
            assert values.min() >= 0
            assert values.max() <= 1
    assert row_loss("bounded_error", np.array([1.0, 5.0]), np.array([2.0, 100.0]), scale=4).tolist() == [0.25, 1.0]
    with pytest.raises(Invalid, match="scale"):
        row_loss("bounded_error", labels, scores)


def test_means_of_row_losses_are_the_metrics() -> None:
    labels, scores = binary_rows(1)
    assert 1 - row_loss("zero_one", labels, scores).mean() == pytest.approx(measure("accuracy", labels, scores))
    assert row_loss("brier", labels, scores).mean() == pytest.approx(measure("brier_score", labels, scores))
    assert row_loss("log_loss", labels, scores).mean() == pytest.approx(measure("log_loss", labels, scores))
    assert row_loss("squared_error", labels, scores).mean() ** 0.5 == pytest.approx(measure("rmse", labels, scores))


@pytest.mark.parametrize("size", [1e-200, 1e200])
@pytest.mark.parametrize("name", ["rmse", "r2", "mae", "median_absolute_error"])
def test_errors_of_any_size_are_measured_and_given_an_interval(name: str, size: float) -> None:
    random = np.random.default_rng(0)
    labels, predicted = random.normal(size=60), random.normal(size=60)
    unit = 1.0 if name == "r2" else size
    plain, found = measure(name, labels, predicted), measure(name, size * labels, size * predicted)
    assert found == pytest.approx(plain * unit, rel=1e-12)
    by_rows = metric_interval(name, size * labels, size * predicted, seed=0, draws=50)
    by_windows = clustered_metric(name, size * labels, size * predicted, np.repeat(np.arange(6), 10))
    for one in (by_rows, by_windows):
        assert one.low is not None
        assert one.high is not None
        assert one.low < one.high < np.inf


def test_the_mean_of_many_huge_errors_has_an_interval() -> None:
    labels = 1e200 * np.random.default_rng(0).normal(size=20_000)
    found = metric_interval("mae", labels, np.zeros(labels.size), seed=0)
    assert found.low is not None
    assert found.high is not None
    assert 0.7e200 < found.low < found.high < 0.9e200


@pytest.mark.parametrize("name", ["rmse", "mae", "mape", "r2"])
def test_what_no_float_can_hold_is_not_defined(name: str) -> None:
    labels, predicted = np.array([1.5e308, 1e-3, 1.0]), np.array([-1.5e308, 1.7e308, -1.5e308])
    assert math.isnan(measure(name, labels, predicted))


def test_errors_are_estimated_at_any_size() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(200, 1))
    seen = Covariates(columns=("x",), categorical=(False,), values=rows)
    labels, predicted, weights = random.normal(size=200), rows[:, 0], np.ones(200)
    estimated: tuple[EstimatedError, ...] = ("rmse", "mae")
    for name in estimated:
        plain = estimate_error(name, seen, labels, predicted, weights, seen)
        huge = estimate_error(name, seen, 1e200 * labels, 1e200 * predicted, weights, seen)
        assert plain.value is not None
        assert huge.value == pytest.approx(1e200 * plain.value)
