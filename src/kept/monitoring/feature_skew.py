"""Feature values as they were served beside the same recomputed from the store, as it was known at the request's event time."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import polars as pl

from kept.core.clock import parse_time
from kept.core.errors import Invalid, NotFound
from kept.data.catalog import read, the_version
from kept.features.catalog import dataset_name
from kept.features.join import join_as_known
from kept.governance.workspace import Workspace
from kept.measures.arrays import Array
from kept.measures.clusters import ClusteredCounts, clustered_counts
from kept.monitoring.stream import features_of
from kept.plan.specs import FeatureViewSpec
from kept.tracking.records import find_runs
from kept.tracking.run import RunStatus

_EXAMPLES = 5
# What 32-bit floats on the way may change.
_TOLERANCE = 1e-6
_TRAINING = "training"


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A value that was served otherwise than it is stored."""

    prediction: str
    event_time: datetime
    served: Any
    stored: Any


class FeatureSkew(msgspec.Struct, frozen=True, kw_only=True):
    """One feature, value by value over the sample; `equal` + `different` + the two kinds of missing is `rows`."""

    feature: str
    rows: int
    equal: int
    different: int
    missing_at_serving: int
    missing_in_store: int
    examples: tuple[Example, ...]
    by_entity: ClusteredCounts
    """What was not equal, with the view's entities as clusters: of one entity either all or no values may be wrong."""


def compare_values(
    predictions: pl.DataFrame,
    views: Sequence[tuple[FeatureViewSpec, pl.DataFrame]],
    notes: list[str],
    hidden: Collection[str] = (),
) -> tuple[FeatureSkew, ...]:
    """Each logged feature of a view beside the same as it was known at the request's event time, the worst first.

    Entities are read from the logged features, or from the request's key where a view has one entity. `notes` is added to
    where a view's entity was not logged. What is `hidden` was not logged as it was sent, and is left out.
    """
    served = features_of(predictions).drop(list(hidden), strict=False)
    found: list[FeatureSkew] = []
    for spec, view in views:
        entities = _entities(predictions, served, spec, view)
        if entities is None:
            notes.append(f"feature view {spec.name}: requests were logged without {', '.join(spec.entity)}")
            continue
        rows = entities.with_columns(predictions["event_time"])
        stored = join_as_known(rows, [(spec, view)], at="event_time")
        names = [name for name in stored.columns if name.startswith(f"{spec.name}_") and name in served.columns]
        entity = entities.select(pl.struct(spec.entity).rank("dense")).to_series().to_numpy()
        found += [_compared(name, predictions, served[name], stored[name], entity) for name in names]
    return tuple(sorted(found, key=lambda one: (one.equal - one.rows, one.feature)))


def _compared(name: str, predictions: pl.DataFrame, served: pl.Series, stored: pl.Series, entity: Array) -> FeatureSkew:
    both = pl.DataFrame({"served": served, "stored": stored})
    if served.dtype.is_numeric() and stored.dtype.is_numeric():
        both = both.cast(pl.Float64).fill_nan(None)
        near = _TOLERANCE * pl.max_horizontal(pl.lit(1.0), pl.col("served").abs(), pl.col("stored").abs())
        alike = ((pl.col("served") - pl.col("stored")).abs() <= near) | (pl.col("served") == pl.col("stored"))
    else:
        both = both.cast(pl.String)
        alike = pl.col("served") == pl.col("stored")
    lost, never = pl.col("served").is_null(), pl.col("stored").is_null()
    told = both.with_columns(
        predictions["id"],
        predictions["event_time"],
        equal=alike.fill_null(value=False) | (lost & never),
        lost=lost & ~never,
        never=never & ~lost,
    )
    counts = told.select(pl.col("equal", "lost", "never").sum()).row(0)
    odd = told.filter(~pl.col("equal")).head(_EXAMPLES)
    return FeatureSkew(
        feature=name,
        rows=told.height,
        equal=counts[0],
        different=told.height - sum(counts),
        missing_at_serving=counts[1],
        missing_in_store=counts[2],
        examples=tuple(
            Example(prediction=one["id"], event_time=one["event_time"], served=one["served"], stored=one["stored"])
            for one in odd.iter_rows(named=True)
        ),
        by_entity=clustered_counts(~told["equal"].to_numpy(), entity),
    )


def _entities(
    predictions: pl.DataFrame, served: pl.DataFrame, spec: FeatureViewSpec, view: pl.DataFrame
) -> pl.DataFrame | None:
    found = {}
    for name in spec.entity:
        if name in served.columns:
            column = served[name]
        elif len(spec.entity) == 1:
            column = predictions["key"]
        else:
            return None
        if name not in view.columns or column.null_count() == column.len():
            return None
        found[name] = column.cast(view.schema[name], strict=False)
    return pl.DataFrame(found)


def stored_views(
    workspace: Workspace, project: str, views: Mapping[str, FeatureViewSpec], notes: list[str]
) -> list[tuple[FeatureViewSpec, pl.DataFrame]]:
    """Each view with its stored rows. One that was declared, or declared otherwise, since the last training is left out:
    `notes` is added to.
    """
    found = []
    for name, spec in views.items():
        try:
            rows = read(workspace, project, dataset_name(name)).collect()
        except NotFound:
            notes.append(f"feature view {name}: no training has stored it yet")
            continue
        if {spec.event_time, spec.known_at} <= set(rows.columns):
            found.append((spec, rows))
        else:
            notes.append(f"feature view {name}: it was stored with other times")
    return found


def stored_until(workspace: Workspace, project: str, views: Mapping[str, FeatureViewSpec]) -> datetime | None:
    """The event time up to which the store knows what the views' functions would have told; None where it knows nothing.

    Views are stored by trainings: that is when the last one asked them, or the moment it asked them about.
    """
    with workspace.database.reading() as connection:
        done = find_runs(connection, project=project, kind=_TRAINING, status=RunStatus.FINISHED, limit=1)
    if done:
        until = done[0].request.get("until")
        return parse_time(until, where="until") if until else done[0].started_at
    try:
        return min((the_version(workspace, project, dataset_name(name)).created_at for name in views), default=None)
    except NotFound:
        return None


def views_of(plan: Mapping[str, Any]) -> dict[str, FeatureViewSpec]:
    """The project's views as its record tells them: to join what is stored, their functions are not needed."""
    found = {}
    for name, told in (plan.get("features") or {}).items():
        ttl = told.get("ttl")
        found[name] = FeatureViewSpec(
            name=name,
            function=_stored,
            entity=tuple(told["entity"]),
            event_time=told["event_time"],
            known_at=told["known_at"],
            ttl=None if ttl is None else msgspec.convert(ttl, timedelta),
        )
    return found


def _stored() -> pl.DataFrame:
    raise Invalid("a view's record has no function", where="skew", fix="Read the view's stored rows")
