"""How a shadow's answers differ from the champion's: altogether, and in which slices of the inputs."""

import math
from itertools import pairwise

import msgspec
import polars as pl

from kept.loop.rollouts import disagreeing
from kept.monitoring.stream import features_of
from kept.plan.specs import Task

_LEAST_ROWS = 20
_MOST_SLICES = 12
_MOST_VALUES = 50
_PARTS = 4


class SliceDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Rows whose input lies in a part of a column, and how the two versions answered them."""

    column: str
    part: str
    """A value, or a range of numbers from one quarter of the rows to the next."""
    rows: int
    disagreement: float
    """Share of rows that were answered otherwise."""
    difference: float | None
    """Mean of the shadow's score minus the champion's; None where there is more than one score."""


class ShadowReport(msgspec.Struct, frozen=True, kw_only=True):
    """A shadow beside the champion, on the same rows."""

    rows: int
    disagreements: int
    difference: float | None
    """Mean of the shadow's score minus the champion's; None where there is more than one score."""
    apart: float | None
    """Mean size of that difference."""
    latency_p50_ms: float | None
    """Of the champion: from a request's last byte to its answer."""
    shadow_latency_p50_ms: float | None
    """What the shadow's prediction took by itself."""
    slices: tuple[SliceDifference, ...]
    """Those that stand out most, most first."""


def shadow_report(pairs: pl.DataFrame, task: Task) -> ShadowReport:
    """What pairs of answers to the same rows say, as `Stream.pairs_since` gives them."""
    if pairs.is_empty():
        return ShadowReport(
            rows=0,
            disagreements=0,
            difference=None,
            apart=None,
            latency_p50_ms=None,
            shadow_latency_p50_ms=None,
            slices=(),
        )
    told = pairs.with_columns(apart=disagreeing(pairs, task), gap=pl.col("other_score") - pl.col("score"))
    milliseconds = pairs.select(own=pl.col("latency_us").median(), other=pl.col("other_latency_us").median()) / 1000
    return ShadowReport(
        rows=told.height,
        disagreements=int(told["apart"].sum()),
        difference=_mean(told["gap"]),
        apart=_mean(told["gap"].abs()),
        latency_p50_ms=milliseconds["own"].item(),
        shadow_latency_p50_ms=milliseconds["other"].item(),
        slices=_slices(told),
    )


def _slices(told: pl.DataFrame) -> tuple[SliceDifference, ...]:
    overall = float(told["apart"].sum()) / told.height
    found: list[SliceDifference] = []
    for series in features_of(told.drop("score")):
        parts = _parts(series)
        if parts is None:
            continue
        grouped = (
            told.select("apart", "gap", part=parts)
            .group_by("part")
            .agg(rows=pl.len(), disagreement=pl.col("apart").mean(), difference=pl.col("gap").mean())
            .filter(pl.col("rows") >= _LEAST_ROWS)
        )
        found += [
            SliceDifference(column=series.name, **{**row, "part": "none" if row["part"] is None else row["part"]})
            for row in grouped.to_dicts()
        ]
    found.sort(key=lambda one: (-(one.disagreement - overall) * math.sqrt(one.rows), one.column, one.part))
    return tuple(found[:_MOST_SLICES])


def _parts(series: pl.Series) -> pl.Series | None:
    """The part that each value lies in; None where there are too many, or one alone."""
    if series.dtype.is_numeric():
        bounds = sorted({one for part in range(1, _PARTS) if (one := series.quantile(part / _PARTS)) is not None})
        if not bounds or series.n_unique() < _PARTS:
            return None
        edges = ["least", *(f"{one:.4g}" for one in bounds), "most"]
        names = [f"{low} to {high}" for low, high in pairwise(edges)]
        places = (
            series.to_frame().select(pl.sum_horizontal(pl.col(series.name) > bound for bound in bounds)).to_series()
        )
        parts = places.replace_strict(list(range(len(names))), names, return_dtype=pl.String)
        return parts.set(series.is_null(), None)
    return series.cast(pl.String) if 1 < series.n_unique() <= _MOST_VALUES else None


def _mean(series: pl.Series) -> float | None:
    mean = series.mean()
    return mean if isinstance(mean, float) else None
