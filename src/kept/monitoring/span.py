"""Objectives over a stretch of several windows, taken together: one bad day is weather, a bad week is a worse model."""

from collections.abc import Sequence

import polars as pl

from kept.evaluation.slices import LEAST_ROWS
from kept.measures.arrays import Array, Floats
from kept.measures.metrics import measure, metric
from kept.monitoring.outcomes import Outcomes
from kept.monitoring.performance import Measured
from kept.monitoring.window import Window
from kept.plan.objective import Objective

_LEAST_SHARE = 0.7


def covers(span: Window, times: pl.Series) -> bool:
    """Whether rows reach back over most of a stretch: a version that serves since yesterday has no week to judge."""
    first = times.min()
    return first is not None and span.end - first >= _LEAST_SHARE * (span.end - span.start)  # type: ignore[operator]


def measure_span(objectives: Sequence[Objective], outcomes: Outcomes) -> list[Measured]:
    """Every objective that labels can judge, over all rows or in each slice with enough of them (100)."""
    found = []
    for one in objectives:
        if metric(one.metric).operational:
            continue
        if one.by is None:
            found.append(_measured(one, "", outcomes.labels, outcomes.scores))
        elif one.by in outcomes.frame.columns:
            values = outcomes.frame.get_column(one.by).cast(pl.String).fill_null("(missing)")
            for value in values.unique().sort():
                rows = (values == value).to_numpy()
                found.append(_measured(one, f"{one.by}={value}", outcomes.labels[rows], outcomes.scores[rows]))
    return found


def _measured(objective: Objective, slice_name: str, labels: Floats, scores: Array) -> Measured:
    value = measure(objective.metric, labels, scores)
    known = value == value and labels.size >= LEAST_ROWS  # noqa: PLR0124 - NaN is not equal to itself
    return Measured(
        metric=objective.metric,
        slice=slice_name,
        value=value if known else None,
        rows=int(labels.size),
        holds=objective.holds(value) if known else None,
    )
