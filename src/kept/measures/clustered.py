"""A model's metric, and the difference of two models on the same rows, where rows of one window hang together.

On one stormy day every flight is late: its rows are one observation of a model, not a thousand. What is left out and
left out again are windows: the delete-a-group jackknife with Student's t (MacKinnon, Nielsen and Webb 2023, "Fast and
reliable jackknife and bootstrap methods for cluster-robust inference"), which keeps its level from a handful of windows on,
where drawing windows with replacement finds too narrow an interval.
"""

import math

import numpy as np

from kept.measures.arrays import Array, Floats, Ints, scaled
from kept.measures.intervals import Interval
from kept.measures.losses import likeliest
from kept.measures.metrics import Metric, check_rows, metric
from kept.measures.special import stdtrit

FEWEST_WINDOWS = 5
# More windows are taken together with their neighbours: each costs a computation of the metric, and fifty tell the variance.
_MOST_GROUPS = 50


def clustered_difference(
    of: Metric | str, labels: Array, champion: Array, challenger: Array, windows: Array, *, level: float = 0.95
) -> Interval:
    """The challenger's metric minus the champion's, where both scored the same rows (as `bootstrap.difference_interval`).

    `windows` is the number of each row's window, in the order of time. The ends are None with fewer than five windows, and
    where the metric is not defined without one of them.
    """
    chosen = metric(of) if isinstance(of, str) else of
    truth, one = check_rows(labels, champion, where=chosen.name)
    _, two = check_rows(labels, challenger, where=chosen.name)
    if chosen.needs == "labels":
        one, two = (likeliest(said).astype(np.float64) for said in (one, two))
    groups = _groups(windows)
    whole = chosen.compute(truth, two) - chosen.compute(truth, one)
    return _interval(whole, _without_each(chosen, truth, one, two, groups), truth.size, level)


def clustered_metric(
    of: Metric | str, labels: Array, scores: Array, windows: Array, *, level: float = 0.95
) -> Interval:
    """A metric of one model on rows of these windows (as `bootstrap.metric_interval`); its ends as those of a difference."""
    chosen = metric(of) if isinstance(of, str) else of
    truth, said = check_rows(labels, scores, where=chosen.name)
    if chosen.needs == "labels":
        said = likeliest(said).astype(np.float64)
    groups = _groups(windows)
    kept = (groups != number for number in range(np.bincount(groups).size))
    without = np.array([chosen.compute(truth[rows], said[rows]) for rows in kept])
    return _interval(chosen.compute(truth, said), without, truth.size, level)


def clustered_mean(values: Array, windows: Array, *, level: float = 0.95) -> Interval:
    """The mean of values, such as gains of one model over another, of which each lies in a window of this number."""
    groups = _groups(windows)
    whole = float(values.mean()) if values.size else math.nan
    return _interval(whole, _means_without_each(values, groups), values.size, level)


def _interval(whole: float, without: Floats, rows: int, level: float) -> Interval:
    """Of a value, and of the same without each group of windows."""
    count, low, high = without.size, None, None
    if count >= FEWEST_WINDOWS and math.isfinite(whole) and np.isfinite(without).all():
        apart, size = scaled(without - without.mean())
        error = math.sqrt((count - 1) / count * float((apart**2).sum()))
        width = float(stdtrit(count - 1, 0.5 + level / 2)) * error * size
        low, high = whole - width, whole + width
    return Interval(
        estimate=whole if math.isfinite(whole) else None,
        low=low,
        high=high,
        level=level,
        method="jackknife over windows",
        rows=rows,
    )


def _groups(windows: Array) -> Ints:
    """The group of each row: its window, or its window and the next ones where there are many."""
    _, place = np.unique(windows, return_inverse=True)
    count = int(place.max()) + 1 if place.size else 0
    return place * min(count, _MOST_GROUPS) // max(count, 1)


def _without_each(chosen: Metric, labels: Floats, one: Floats, two: Floats, groups: Ints) -> Floats:
    """The difference on all rows but those of each group."""
    sizes = np.bincount(groups)
    if sizes.size < FEWEST_WINDOWS:
        return np.full(sizes.size, np.nan)
    if chosen.rows is not None:
        return _means_without_each(chosen.rows(labels, two) - chosen.rows(labels, one), groups)
    kept = (groups != number for number in range(sizes.size))
    return np.array(
        [chosen.compute(labels[rows], two[rows]) - chosen.compute(labels[rows], one[rows]) for rows in kept]
    )


def _means_without_each(values: Floats, groups: Ints) -> Floats:
    sizes = np.bincount(groups)
    left = (values.sum() - np.bincount(groups, weights=values)) / np.maximum(values.size - sizes, 1)
    return np.asarray(left)
