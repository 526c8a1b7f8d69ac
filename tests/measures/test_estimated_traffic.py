"""Estimates where traffic has moved: weights by a domain classifier, many classes, the errors of a regression."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kept.core.errors import Invalid
from kept.measures.arrays import Floats, decode, encode
from kept.measures.class_estimates import OF_CLASSES, EstimatedOfClasses, calibrated_classes, estimate_classes
from kept.measures.covariates import Covariates, design, farthest_outside
from kept.measures.direct_loss import ERRORS, EstimatedError, estimate_error
from kept.measures.domain import domain_weights, logistic_regression
from kept.measures.estimates import effective_sample_size
from kept.measures.metrics import measure


def rows_of(values: Floats, categorical: tuple[bool, ...] | None = None) -> Covariates:
    kinds = categorical or (False,) * values.shape[1]
    return Covariates(columns=tuple(f"c{i}" for i in range(values.shape[1])), categorical=kinds, values=values)


def test_weights_move_the_reference_to_todays_means_and_shares() -> None:
    random = np.random.default_rng(0)
    past = np.column_stack([random.normal(size=4_000), random.integers(0, 3, 4_000)])
    now = np.column_stack([random.normal(0.6, 1, 2_000), random.choice([0, 1, 2], 2_000, p=[0.6, 0.2, 0.2])])
    kinds = (False, True)
    weights = domain_weights(rows_of(past, kinds), rows_of(now, kinds))
    assert weights.mean() == pytest.approx(1.0)
    assert np.average(past[:, 0], weights=weights) == pytest.approx(0.6, abs=0.08)
    assert np.average(past[:, 1] == 0, weights=weights) == pytest.approx(0.6, abs=0.04)
    assert effective_sample_size(weights) < 3_500


def test_where_nothing_has_moved_weights_are_nearly_even() -> None:
    random = np.random.default_rng(1)
    weights = domain_weights(rows_of(random.normal(size=(2_000, 8))), rows_of(random.normal(size=(500, 8))))
    assert effective_sample_size(weights) > 1_500
    nothing = rows_of(np.zeros((10, 2)))
    assert np.array_equal(domain_weights(nothing, nothing), np.ones(10))
    assert domain_weights(rows_of(np.ones((3, 1))), rows_of(np.zeros((0, 1)))).tolist() == [1, 1, 1]


def test_logistic_regression_is_at_the_least_of_its_loss() -> None:
    random = np.random.default_rng(2)
    rows = np.column_stack([np.ones(500), random.normal(size=(500, 3))])
    labels = (random.random(500) < 1 / (1 + np.exp(-rows @ [0.3, 1.0, -2.0, 0.0]))).astype(float)
    found = logistic_regression(rows, labels, penalty=2.0)
    slope = rows.T @ (1 / (1 + np.exp(-rows @ found)) - labels) + np.array([0.0, 2.0, 2.0, 2.0]) * found
    assert np.abs(slope).max() < 0.05


@given(seed=st.integers(0, 10_000), missing=st.floats(0, 1), wild=st.booleans())
@settings(max_examples=25, deadline=None)
def test_any_columns_make_a_finite_design(seed: int, missing: float, wild: bool) -> None:
    random = np.random.default_rng(seed)
    values = np.column_stack(
        [random.standard_cauchy(60) * (1e200 if wild else 1), np.ones(60), random.integers(0, 30, 60)]
    )
    values[random.random(values.shape) < missing] = np.nan
    values[0, 0] = np.inf
    given_rows = rows_of(values, (False, False, True))
    past, now = design(given_rows.take(slice(40)), given_rows.take(slice(40, None)))
    assert np.isfinite(past).all()
    assert np.isfinite(now).all()
    weights = domain_weights(given_rows.take(slice(40)), given_rows.take(slice(40, None)))
    assert np.isfinite(weights).all()
    assert (weights >= 0).all()


def test_covariates_are_kept_bit_for_bit_and_forget_other_columns() -> None:
    some = rows_of(np.array([[1.0, np.nan], [2.0, 3.0]]))
    again = decode(encode(some), Covariates)
    assert np.array_equal(again.values, some.values, equal_nan=True)
    assert some.and_then(again).rows == 4
    assert some.and_then(rows_of(np.ones((1, 3)))).rows == 1
    with pytest.raises(Invalid):
        design(some, rows_of(np.ones((1, 3))))


def test_what_lies_outside_is_named() -> None:
    past = rows_of(np.column_stack([np.linspace(0, 1, 50), np.arange(50) % 3]), (False, True))
    now = rows_of(np.array([[0.5, 7.0], [2.0, 7.0], [0.1, 1.0], [0.2, 2.0]]), (False, True))
    told = farthest_outside(past, now)
    assert told is not None
    assert (told.column, told.share) == ("c1", 0.5)
    assert farthest_outside(Covariates(), Covariates()) is None


def world(random: np.random.Generator, rows: int, shift: float) -> tuple[Floats, Floats, Floats]:
    """Three classes; the model knows nothing of the second feature, by which the truth changes."""
    features = np.column_stack([random.normal(size=rows), random.normal(shift, 1, rows)])
    said = np.column_stack([features[:, 0], -features[:, 0], np.zeros(rows)])
    truly = said + np.column_stack([np.zeros((rows, 2)), np.where(features[:, 1] > 0.5, 2.0, -1.0)])
    scores = np.exp(said) / np.exp(said).sum(axis=1, keepdims=True)
    chance = np.exp(truly) / np.exp(truly).sum(axis=1, keepdims=True)
    labels = (random.random((rows, 1)) > np.cumsum(chance, axis=1)).sum(axis=1).astype(np.float64)
    return features, scores, labels


@pytest.mark.parametrize("metric", OF_CLASSES)
def test_many_classes_without_shift(metric: EstimatedOfClasses) -> None:
    random = np.random.default_rng(3)
    _, reference, labels = world(random, 6_000, 0.0)
    _, current, truth = world(random, 6_000, 0.0)
    found = estimate_classes(metric, current, reference=reference, labels=labels, draws=10)
    assert found.value == pytest.approx(measure(metric, truth, current), abs=0.03)
    assert found.low is not None
    assert found.high is not None
    assert found.value is not None
    assert found.low <= found.value <= found.high


def test_many_classes_follow_a_shift_once_weighted() -> None:
    random = np.random.default_rng(4)
    features, reference, labels = world(random, 6_000, 0.0)
    moved, current, truth = world(random, 3_000, 1.0)
    weights = domain_weights(rows_of(features), rows_of(moved))
    actual = measure("accuracy", truth, current)
    plain = estimate_classes("accuracy", current, reference=reference, labels=labels, draws=2)
    weighted = estimate_classes("accuracy", current, reference=reference, labels=labels, weights=weights, draws=2)
    assert plain.value is not None
    assert weighted.value is not None
    assert abs(plain.value - actual) > 0.05
    assert abs(weighted.value - actual) < 0.03
    with pytest.raises(Invalid):
        estimate_classes("accuracy", current, reference=reference[:, :2], labels=labels)
    assert estimate_classes("accuracy", current[:0], reference=reference, labels=labels).value is None


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_calibrated_classes_are_chances(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.dirichlet(np.ones(4), 50)
    found = calibrated_classes(scores[:20], scores[20:], random.integers(0, 4, 30), random.random(30) + 0.1)
    assert np.allclose(found.sum(axis=1), 1.0)
    assert (found >= 0).all()


def regression(random: np.random.Generator, rows: int, shift: float) -> tuple[Covariates, Floats, Floats]:
    """Errors grow with the first feature, which is what shifts."""
    features = random.normal((shift, 0.0, 0.0), 1.0, (rows, 3))
    predicted = 10 + features[:, 1]
    labels = predicted + np.exp(0.5 * features[:, 0]) * random.normal(size=rows)
    return rows_of(np.column_stack([features, predicted])), labels, predicted


@pytest.mark.parametrize("metric", ERRORS)
def test_errors_of_a_regression_follow_a_shift(metric: EstimatedError) -> None:
    gaps, covered = [], 0
    for seed in range(10):
        random = np.random.default_rng(seed)
        past, labels, predicted = regression(random, 2_000, 0.0)
        now, truth, said = regression(random, 2_000, 0.8)
        found = estimate_error(metric, past, labels, predicted, domain_weights(past, now), now)
        actual = measure(metric, truth, said)
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        gaps.append(abs(found.value - actual) / actual)
        covered += found.low <= actual <= found.high
        unmoved = measure(metric, labels, predicted)
        assert abs(found.value - actual) < abs(unmoved - actual)
    # A few rows near zero are most of a percentage error: no estimate can know how many come.
    assert np.mean(gaps) < (0.25 if metric == "mape" else 0.1)
    assert covered >= (0 if metric == "mape" else 6)


def test_too_few_rows_say_nothing() -> None:
    few, labels, predicted = regression(np.random.default_rng(0), 4, 0.0)
    assert estimate_error("mae", few, labels, predicted, np.ones(4), few).value is None
