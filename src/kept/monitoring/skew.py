"""Training against serving: whether traffic looks as the training rows did, and whether features are served as they are stored.

Distributions: the drift engine looks once, at the champion's first rows of serving against its training rows. Values: for
a sample of requests, each feature of a view as it was sent beside the same recomputed from the store, as it was known at the
request's event time.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
import polars as pl

from kept.core.errors import Invalid, NotFound
from kept.core.listing import list_limit
from kept.data import catalog as data
from kept.deployment.catalog import status_of, the_endpoint
from kept.features.catalog import dataset_name
from kept.features.join import join_as_known
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.measures.drift.causes import ColumnFinding
from kept.measures.drift.detector import DriftFinding
from kept.monitoring import drift
from kept.monitoring.stream import features_of, predictions_table
from kept.monitoring.subject import drift_reference, subject_of
from kept.plan.records import find_project
from kept.plan.specs import FeatureViewSpec

# One look: an e-value of 20 has a chance of at most 5% where nothing differs (Markov).
_SURE = 20.0
_MOST_ROWS = 20_000
_EXAMPLES = 5
# What 32-bit floats on the way may change.
_TOLERANCE = 1e-6


class ShowSkew(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which endpoint's champion, and how many of its newest requests are recomputed."""

    endpoint: str
    sample: int = 200


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


class Skew(msgspec.Struct, frozen=True, kw_only=True):
    """How the champion is served against how it was trained."""

    endpoint: str
    version_id: str
    rows: int
    """Of its first ones in serving, whose distributions were compared."""
    differs: bool | None
    """Whether they differ from the training rows: a mistake in at most 5% of cases. None where it cannot be told."""
    columns: tuple[ColumnFinding, ...]
    """Columns, the likeliest to differ first."""
    values: tuple[FeatureSkew, ...]
    """Features of views, the most often different first."""
    notes: tuple[str, ...]
    """What could not be compared, and why; what was found, as sentences."""


@operation("monitoring.skew", needs=Permission.VIEW, on="endpoint", audit=Audit.READ)
def show_skew(workspace: Workspace, actor: Actor, request: ShowSkew) -> Skew:
    """The champion's serving against its training: distributions, and features value by value."""
    del actor
    sample = list_limit(request.sample, where="skew")
    with workspace.database.reading() as connection:
        endpoint = the_endpoint(connection, request.endpoint)
        status = status_of(connection, endpoint)
        project = find_project(connection, endpoint.project)
    if status.route is None:
        raise NotFound("it serves nothing yet", where=f"endpoint {endpoint.name}", fix="Release a version")
    champion = subject_of(workspace, status.route.route.champion.version_id)
    first, last = _rows_of(workspace, endpoint.name, champion.version_id, sample)
    reference = drift_reference(workspace, champion)
    notes: list[str] = []
    finding: DriftFinding | None = None
    if reference is None:
        notes.append("the version has no reference: distributions are not compared")
    elif first.is_empty():
        notes.append("it has answered nothing yet")
    else:
        _, finding = drift.judge(drift.begin(reference, _SURE), reference, drift.count(reference, features_of(first)))
        notes.append(_said(finding))
    values: tuple[FeatureSkew, ...] = ()
    views = _views(project.plan if project else {})
    if not views:
        notes.append("the project has no feature views: values are not recomputed")
    elif not last.is_empty():
        frames = {name: data.read(workspace, endpoint.project, dataset_name(name)).collect() for name in views}
        values = compare_values(last, [(views[name], frames[name]) for name in views], notes)
    return Skew(
        endpoint=endpoint.name,
        version_id=champion.version_id,
        rows=first.height,
        differs=finding.alarm if finding is not None else None,
        columns=finding.columns if finding is not None else (),
        values=values,
        notes=tuple(notes),
    )


def compare_values(
    predictions: pl.DataFrame, views: list[tuple[FeatureViewSpec, pl.DataFrame]], notes: list[str]
) -> tuple[FeatureSkew, ...]:
    """Each logged feature of a view beside the same as it was known at the request's event time.

    Entities are read from the logged features, or from the request's key where a view has one entity. `notes` is added to
    where a view's entity was not logged.
    """
    served = features_of(predictions)
    found: list[FeatureSkew] = []
    for spec, view in views:
        entities = _entities(predictions, served, spec, view)
        if entities is None:
            notes.append(f"feature view {spec.name}: requests were logged without {', '.join(spec.entity)}")
            continue
        rows = entities.with_columns(predictions["event_time"])
        stored = join_as_known(rows, [(spec, view)], at="event_time")
        names = [name for name in stored.columns if name.startswith(f"{spec.name}_") and name in served.columns]
        found += [_compared(name, predictions, served[name], stored[name]) for name in names]
    return tuple(sorted(found, key=lambda one: (one.equal - one.rows, one.feature)))


def _compared(name: str, predictions: pl.DataFrame, served: pl.Series, stored: pl.Series) -> FeatureSkew:
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


def _rows_of(workspace: Workspace, endpoint: str, version_id: str, sample: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A version's first answers by event time, and its newest."""
    table = predictions_table(endpoint)
    version = workspace.tables.version(table)
    if version is None:
        return pl.DataFrame(), pl.DataFrame()
    own = workspace.tables.read(table, version).filter(
        (pl.col("version_id") == version_id) & (pl.col("role") != "shadow")
    )
    first = own.bottom_k(_MOST_ROWS, by="event_time").collect().sort("event_time", "id")
    last = own.top_k(sample, by="event_time").collect().sort("event_time", "id")
    return first, last


def _views(plan: Mapping[str, Any]) -> dict[str, FeatureViewSpec]:
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


def _said(finding: DriftFinding) -> str:
    if not finding.alarm:
        return f"the first {finding.rows:,} rows of serving do not differ surely from the training rows"
    names = [column.name for column in finding.columns if column.listed] or [finding.columns[0].name]
    return (
        f"the first {finding.rows:,} rows of serving differ from the training rows (a mistake in at most 5% of cases): most in"
        f" {', '.join(names[:5])}"
    )
