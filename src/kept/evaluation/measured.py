"""A metric of one model with its interval: over windows where these tell it, else over rows."""

from kept.measures.arrays import Array
from kept.measures.bootstrap import metric_interval
from kept.measures.clustered import clustered_metric
from kept.measures.intervals import Interval
from kept.measures.metrics import Metric


def measured(
    of: Metric | str, labels: Array, scores: Array, windows: Array | None, *, seed: int, draws: int
) -> Interval:
    """The metric on these rows.

    From five windows on (`windows` has the number of each row's) each is one observation; with fewer, and where the metric is
    not defined without one of them, each row is, and the interval is drawn so many times. Its `method` tells which.
    """
    if windows is not None:
        found = clustered_metric(of, labels, scores, windows)
        if found.low is not None:
            return found
    return metric_interval(of, labels, scores, seed=seed, draws=draws)
