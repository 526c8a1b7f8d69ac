"""Intervals of a metric, and of the difference of two models on the same rows.

Shares of rows and means over rows have intervals of their own, which hold for few rows as well (`metric_ends`), and so has the
area under the ROC curve (`delong`); all others have the percentile bootstrap over rows (Efron and Tibshirani 1993, chapter 13).
"""

import math
from collections.abc import Callable

import numpy as np

from kept.core.errors import Invalid
from kept.measures import delong
from kept.measures.arrays import Array, Floats
from kept.measures.intervals import Interval
from kept.measures.losses import likeliest
from kept.measures.metric_ends import direct_ends, mean_value_ends
from kept.measures.metrics import Metric, check_rows, metric

DRAWS = 1000


def metric_interval(
    of: Metric | str,
    labels: Array,
    scores: Array,
    *,
    seed: int,
    level: float = 0.95,
    draws: int = DRAWS,
    threshold: float = 0.5,
) -> Interval:
    """A metric of one model on these rows, from its scores (see `metrics.measure`), with its interval."""
    chosen = _resolve(of)
    truth, said = check_rows(labels, scores, where=chosen.name)
    whole = chosen.compute(truth, _as_needed(chosen, said, threshold))
    if math.isnan(whole):
        return _unknown(truth.size, level)
    if chosen.name == "roc_auc" and said.ndim == 1:
        return delong.auc_interval(truth, said, level=level)
    said = _as_needed(chosen, said, threshold)
    ends = direct_ends(chosen, truth, said, level=level)
    if ends is not None:
        return Interval(estimate=whole, low=ends.low, high=ends.high, level=level, method=ends.method, rows=truth.size)

    def again(rows: Array) -> float:
        return chosen.compute(truth[rows], said[rows])

    return _resampled(again, whole, truth.size, seed, level, draws)


def difference_interval(
    of: Metric | str,
    labels: Array,
    champion: Array,
    challenger: Array,
    *,
    seed: int,
    level: float = 0.95,
    draws: int = DRAWS,
    threshold: float = 0.5,
) -> Interval:
    """The challenger's metric minus the champion's, where both scored the same rows (paired: rows are drawn for both)."""
    chosen = _resolve(of)
    truth, one = check_rows(labels, champion, where=chosen.name)
    _, two = check_rows(labels, challenger, where=chosen.name)
    first, second = _as_needed(chosen, one, threshold), _as_needed(chosen, two, threshold)
    whole = chosen.compute(truth, second) - chosen.compute(truth, first)
    if math.isnan(whole):
        return _unknown(truth.size, level)
    if chosen.name == "roc_auc" and one.ndim == 1 and two.ndim == 1:
        return delong.auc_difference(truth, one, two, level=level)
    if chosen.rows is not None:
        low, high, method = mean_value_ends(chosen.rows(truth, second) - chosen.rows(truth, first), level=level)
        return Interval(estimate=whole, low=low, high=high, level=level, method=method, rows=truth.size)

    def again(rows: Array) -> float:
        return chosen.compute(truth[rows], second[rows]) - chosen.compute(truth[rows], first[rows])

    return _resampled(again, whole, truth.size, seed, level, draws)


def _resolve(of: Metric | str) -> Metric:
    chosen = metric(of) if isinstance(of, str) else of
    if chosen.operational:
        raise Invalid("it is not measured on rows", where=chosen.name, fix="Compare the measurements themselves")
    return chosen


def _as_needed(chosen: Metric, scores: Floats, threshold: float) -> Array:
    if chosen.needs != "labels" or not np.isfinite(scores).all():
        return scores
    return likeliest(scores, threshold=threshold).astype(np.float64)


def _resampled(
    again: Callable[[Array], float], whole: float, rows: int, seed: int, level: float, draws: int
) -> Interval:
    random = np.random.default_rng(seed)
    values = np.array([again(random.integers(0, rows, rows)) for _ in range(draws)])
    # A metric such as the calibration error is larger on resampled rows than on the rows themselves; the interval is
    # moved back by as much (Efron and Tibshirani 1993, chapter 10).
    defined = values[~np.isnan(values)]
    bias = float(np.median(defined)) - whole if defined.size else 0.0
    return _percentiles(values - bias, whole, rows, level)


def _percentiles(values: Floats, whole: float, rows: int, level: float) -> Interval:
    """Draws in which the metric is not defined are left out; where they are most, the interval is not known."""
    defined = values[~np.isnan(values)]
    low = high = None
    if rows > 1 and 2 * defined.size > values.size:
        low, high = (float(q) for q in np.quantile(defined, [0.5 - level / 2, 0.5 + level / 2]))
    return Interval(estimate=whole, low=low, high=high, level=level, method="percentile bootstrap", rows=rows)


def _unknown(rows: int, level: float) -> Interval:
    return Interval(estimate=None, low=None, high=None, level=level, method="percentile bootstrap", rows=rows)
