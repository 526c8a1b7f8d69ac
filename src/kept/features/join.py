"""The point-in-time join: features as they were known at each row's moment."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from kept.core.errors import Invalid
from kept.data.frames import need_columns, need_moments
from kept.plan.specs import FeatureViewSpec

_ROW, _MOMENT, _RANK, _USABLE = "\0row", "\0moment", "\0rank", "\0usable"


def join_as_known(
    rows: pl.DataFrame, views: Sequence[tuple[FeatureViewSpec, pl.DataFrame]], *, at: str
) -> pl.DataFrame:
    """The rows, in their number and order, with the features of each view as they were known at the row's moment.

    To a row at `t` belongs, of the view's rows of its entity with `event_time <= t`, `known_at <= t` and
    `event_time > t - ttl`, the one with the latest event time; of several the one known last; of several the last in
    the view's order. A newer event that was not known yet never hides an older one that was. Where there is no such
    row, or the row's entity or moment is null, its features are null. View rows with a null entity or time are
    known to nobody.

    Args:
        rows: the caller's rows, with the entity columns of each view.
        views: each view and its frame.
        at: the rows' column of the moment at which features must have been known.

    Returns:
        The rows with a column `<view>_<column>` for each column of a view but its entity and times.

    Raises:
        Invalid: a column is missing, times have no zone, entities have different types, a column of the rows is named like a
            feature.
    """
    need_columns(rows, [at], where="rows")
    need_moments(rows, [at], where="rows")
    for spec, frame in views:
        rows = _join_view(rows, spec, frame, at)
    return rows


def features_of(spec: FeatureViewSpec, columns: Sequence[str]) -> dict[str, str]:
    """The view's feature columns, each with its name after the join."""
    other = {*spec.entity, spec.event_time, spec.known_at}
    return {name: f"{spec.name}_{name}" for name in columns if name not in other}


def _join_view(rows: pl.DataFrame, spec: FeatureViewSpec, view: pl.DataFrame, at: str) -> pl.DataFrame:
    where = f"feature view {spec.name}"
    need_columns(view, [*spec.entity, spec.event_time, spec.known_at], where=where)
    need_columns(rows, spec.entity, where=f"rows to join {where} to")
    names = features_of(spec, view.columns)
    if taken := [name for name in rows.columns if name.startswith(f"{spec.name}_")]:
        # Also one that is no feature's name: whoever sees the joined rows tells features by their prefix.
        fix = f"Rename the view, or the column: names from {spec.name}_ on are for its features"
        raise Invalid(f"the rows have a column {taken[0]!r} already", where=where, fix=fix)
    if view.is_empty():
        empty = [pl.lit(None, dtype=view.schema[name]).alias(new) for name, new in names.items()]
        return rows.with_columns(empty)
    need_moments(view, dict.fromkeys((spec.event_time, spec.known_at)), where=where)
    unit = _finest(rows.schema[at], view.schema[spec.event_time], view.schema[spec.known_at])
    kinds = [_shared(rows.schema[name], view.schema[name], name, where) for name in spec.entity]
    entity = [
        pl.col(name).cast(kind).alias(f"\0e{place}")
        for place, (name, kind) in enumerate(zip(spec.entity, kinds, strict=True))
    ]
    by = [f"\0e{place}" for place in range(len(spec.entity))]

    best = _best_known(view, spec, entity, by, unit)
    asked = rows.select(*entity, _ticks(at, unit).alias(_MOMENT)).with_row_index(_ROW).drop_nulls().sort(_MOMENT)
    found = asked.join_asof(best, on=_MOMENT, by=by, strategy="backward", check_sortedness=False)
    if spec.ttl is not None:
        # The latest event is the best there is: when it is too old, all are.
        age = pl.col(_MOMENT) - pl.col(_USABLE)
        found = found.filter(age < _length(spec, unit))
    places = rows.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias(_ROW)).join(
        found.select(pl.col(_ROW).cast(pl.UInt32), _RANK), on=_ROW, how="left", maintain_order="left"
    )
    rank = places.get_column(_RANK)
    return rows.with_columns(view.get_column(name).gather(rank).alias(new) for name, new in names.items())


def _best_known(
    view: pl.DataFrame, spec: FeatureViewSpec, entity: list[pl.Expr], by: list[str], unit: Any
) -> pl.DataFrame:
    """Of each entity the moments at which its best known row changed: the moment, that row's place and event time.

    A row can be used from the later of its two times on. Ranked by event time, time of knowing and order, the best
    row known at a moment is the one with the highest rank among all that can be used by then: a running maximum.
    """
    times = [_ticks(spec.event_time, unit).alias("\0event"), _ticks(spec.known_at, unit).alias("\0known")]
    ranked = (
        view.select(*entity, *times)
        .with_row_index("\0place")
        .drop_nulls()
        .sort("\0event", "\0known", "\0place")
        .with_row_index("\0rank")
    )
    changes = (
        ranked.with_columns(pl.max_horizontal("\0event", "\0known").alias(_MOMENT))
        .sort(_MOMENT, "\0rank")
        .select(*by, _MOMENT, pl.col("\0rank").cum_max().over(by).alias("\0best"))
        .unique([*by, _MOMENT], keep="last", maintain_order=True)
    )
    best = changes.get_column("\0best")
    return changes.select(
        *by,
        _MOMENT,
        ranked.get_column("\0place").gather(best).alias(_RANK),
        ranked.get_column("\0event").gather(best).alias(_USABLE),
    ).sort(_MOMENT)


def _finest(*dtypes: pl.DataType) -> Any:
    units = {dtype.time_unit for dtype in dtypes if isinstance(dtype, pl.Datetime)}
    return "ns" if "ns" in units else "us"


def _ticks(name: str, unit: Any) -> pl.Expr:
    return pl.col(name).dt.cast_time_unit(unit).dt.timestamp(unit)


def _length(spec: FeatureViewSpec, unit: Any) -> int:
    if spec.ttl is None:
        return 0
    micros = (spec.ttl.days * 86_400 + spec.ttl.seconds) * 1_000_000 + spec.ttl.microseconds
    return micros * (1_000 if unit == "ns" else 1)


def _shared(mine: pl.DataType, theirs: pl.DataType, name: str, where: str) -> Any:
    """The type in which both sides' entities are compared."""
    if mine == theirs:
        return mine
    if mine.is_integer() and theirs.is_integer():
        return pl.Int64
    texts = {pl.String, pl.Categorical, pl.Enum}
    if mine.base_type() in texts and theirs.base_type() in texts:
        return pl.String
    if pl.Null in {mine, theirs}:
        return theirs if mine == pl.Null else mine
    fix = "Cast one of them to the other's type"
    raise Invalid(f"the entity {name!r} is {mine} in the rows and {theirs} in the view", where=where, fix=fix)
