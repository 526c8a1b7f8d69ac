"""A metric in every slice of a column: an objective by origin, by age group, by machine."""

import difflib

import msgspec
import numpy as np
import polars as pl

from kept.core.errors import Invalid
from kept.evaluation.measured import measured
from kept.measures.arrays import Array
from kept.measures.intervals import Interval
from kept.plan.objective import Objective

LEAST_ROWS = 100
_SMALL_SHOWN = 50
_DRAWS = 200


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """The metric on the rows where the column has this value."""

    value: str
    """The column's value as text; `(missing)` where it is null."""
    rows: int
    measured: Interval
    judged: bool
    note: str = ""
    """Why it is not judged."""


class SliceReport(msgspec.Struct, frozen=True, kw_only=True):
    """A metric in every slice of a column, largest slice first."""

    metric: str
    by: str
    slices: tuple[Slice, ...]
    unlisted: int = 0
    """Further slices that are too small to be judged."""


def measure_slices(
    objective: Objective,
    labels: Array,
    scores: Array,
    frame: pl.DataFrame,
    *,
    seed: int,
    windows: Array | None = None,
    least_rows: int = LEAST_ROWS,
) -> SliceReport:
    """The objective's metric in every slice of its column.

    From five `windows` on (the number of each row's monitoring window) each is one observation of a slice. A slice with fewer than `least_rows` rows, or in which the metric is not defined (one class only), is shown and
    not judged: its value would say more of chance than of the model.
    """
    column = _column(objective, frame, labels.size)
    indices = frame.select(value=column.cast(pl.String).fill_null("(missing)")).with_row_index("row")
    groups = indices.group_by("value").agg("row", rows=pl.len()).sort(["rows", "value"], descending=[True, False])
    large, small = groups.filter(pl.col("rows") >= least_rows), groups.filter(pl.col("rows") < least_rows)
    found = []
    for value, numbers in pl.concat([large, small.head(_SMALL_SHOWN)]).select("value", "row").iter_rows():
        rows = np.asarray(numbers)
        own = None if windows is None else windows[rows]
        interval = measured(objective.metric, labels[rows], scores[rows], own, seed=seed, draws=_DRAWS)
        found.append(_slice(objective.metric, value, interval, least_rows))
    unlisted = max(small.height - _SMALL_SHOWN, 0)
    return SliceReport(metric=objective.metric, by=column.name, slices=tuple(found), unlisted=unlisted)


def _slice(metric: str, value: str, measured: Interval, least_rows: int) -> Slice:
    note = ""
    if measured.rows < least_rows:
        note = f"not judged: it has {measured.rows} rows, fewer than {least_rows}"
    elif measured.estimate is None:
        note = f"not judged: {metric} is not defined on its rows"
    return Slice(value=value, rows=measured.rows, measured=measured, judged=not note, note=note)


def _column(objective: Objective, frame: pl.DataFrame, rows: int) -> pl.Series:
    by = objective.by or ""
    if by not in frame.columns:
        close = difflib.get_close_matches(by, frame.columns, n=3, cutoff=0.4) or frame.columns[:8]
        fix = f"Slice by one of the dataset's columns, for example {', '.join(close)}" if close else None
        raise Invalid(f"there is no column {by!r} to slice by", where=f"objective {objective.name!r}", fix=fix)
    if frame.height != rows:
        fix = "Give the slice columns of the same rows"
        raise Invalid(f"{frame.height} rows of slice columns for {rows} labels", where="evaluation", fix=fix)
    return frame[by]
