from typing import Any

import numpy as np
import pytest

from kept.core.errors import Invalid
from kept.measures.arrays import decode, encode
from kept.measures.estimates import Calibration, calibrate, density_ratio, effective_sample_size, estimate
from kept.measures.metrics import measure


def shifted_world(seed: int, rows: int, shift: float) -> Any:
    """Chance hangs on two features; the model sees both but judges the second wrongly, so shifting it hurts."""
    random = np.random.default_rng(seed)
    one, two = random.normal(0, 1, rows), random.normal(shift, 1, rows)
    chance = 1 / (1 + np.exp(-(1.5 * one + np.where(two > 0.5, -1.5, 0.5))))
    scores = 1 / (1 + np.exp(-(1.5 * one)))
    return scores, (random.random(rows) < chance).astype(float), two


@pytest.mark.parametrize("metric", ["accuracy", "precision", "recall", "f1", "log_loss", "brier_score", "roc_auc"])
def test_without_shift_the_estimate_is_the_metric(metric: Any) -> None:
    reference, labels, _ = shifted_world(0, 20_000, 0.0)
    current, truth, _ = shifted_world(1, 20_000, 0.0)
    found = estimate(metric, current, reference=reference, labels=labels, draws=20)
    assert found.value == pytest.approx(measure(metric, truth, current), abs=0.015)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high
    assert "concept drift" in found.blind_to


def test_weights_see_the_shift_that_plain_calibration_misses() -> None:
    reference, labels, feature = shifted_world(0, 20_000, 0.0)
    current, truth, _ = shifted_world(1, 20_000, 1.5)
    # The exact density ratio of N(1.5, 1) to N(0, 1), as a perfect domain classifier gives it.
    weights = np.exp(1.5 * feature - 1.5**2 / 2)
    actual = measure("accuracy", truth, current)
    cbpe = estimate("accuracy", current, reference=reference, labels=labels, draws=5)
    pape = estimate("accuracy", current, reference=reference, labels=labels, weights=weights, draws=5)
    assert cbpe.value is not None
    assert pape.value is not None
    assert abs(cbpe.value - actual) > 0.02
    assert abs(pape.value - actual) < 0.015
    assert pape.effective_rows < cbpe.effective_rows == pytest.approx(20_000)


def test_calibration_is_monotone_weighted_and_blind_to_order() -> None:
    random = np.random.default_rng(0)
    scores = random.random(500).round(2)
    labels, weights = (random.random(500) < scores).astype(float), random.random(500)
    curve = calibrate(scores, labels, weights)
    assert np.all(np.diff(curve.probabilities) >= 0)
    order = random.permutation(500)
    again = calibrate(scores[order], labels[order], weights[order])
    assert np.allclose(curve.probabilities, again.probabilities)
    # Pooling keeps the weighted mean.
    assert np.average(curve(scores), weights=weights) == pytest.approx(np.average(labels, weights=weights))
    doubled = calibrate(np.tile(scores, 2), np.tile(labels, 2))
    assert np.allclose(calibrate(scores, labels, np.full(500, 2.0)).probabilities, doubled.probabilities)
    assert np.array_equal(decode(encode(curve), Calibration)(scores), curve(scores))


def test_effective_sample_size() -> None:
    assert effective_sample_size(np.ones(7)) == pytest.approx(7)
    assert effective_sample_size(np.array([1.0, 0.0, 0.0])) == 1
    assert effective_sample_size(np.zeros(3)) == 0


def test_density_ratio_of_an_uninformed_classifier_is_one() -> None:
    weights = density_ratio(np.full(100, 0.25), reference_rows=300, current_rows=100)
    assert np.allclose(weights, 1.0)
    assert density_ratio(np.array([0.5, 1.0]), reference_rows=1, current_rows=1, most=9).tolist() == [0.2, 1.8]


def test_undefined_estimates_are_none() -> None:
    scores, labels = np.linspace(0, 0.4, 50), np.tile([0.0, 1.0], 25)
    assert estimate("precision", scores, reference=scores, labels=labels).value is None
    assert estimate("accuracy", np.array([]), reference=scores, labels=labels).value is None


@pytest.mark.parametrize(
    ("scores", "labels", "weights"),
    [([], [], None), ([0.1], [2.0], None), ([0.1, 0.2], [1.0], None), ([np.nan], [1.0], None), ([0.1], [1.0], [0.0])],
)
def test_what_cannot_be_calibrated_is_refused(
    scores: list[float], labels: list[float], weights: list[float] | None
) -> None:
    with pytest.raises(Invalid):
        calibrate(np.array(scores), np.array(labels), None if weights is None else np.array(weights))
