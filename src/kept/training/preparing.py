"""The pipeline steps `ingest`, `join`, `columns` and `split`: from the source to rows to learn from.

Each step receives other steps' outputs by parameter name.
"""

from datetime import datetime
from pathlib import Path

import polars as pl

from kept.core.clock import parse_time
from kept.core.durations import duration
from kept.core.errors import CheckFailed
from kept.data import frames
from kept.data.catalog import read
from kept.data.ingestion import ingest as ingest_rows
from kept.features import catalog as feature_catalog
from kept.pipelines.context import StepContext
from kept.plan.loading import load_project
from kept.plan.project import Project
from kept.plan.specs import DatasetSpec
from kept.training.facts import Columns, Pinned
from kept.training.splits import split_rows
from kept.training.targets import classes_of

_FEWEST_LABELLED = 30


def ingest(context: StepContext, source: str, until: str | None) -> Pinned:
    """Asks the dataset and the views for their rows, holds them against their contracts, and pins the versions."""
    project = load_project(Path(source))
    moment = None if until is None else parse_time(until, where="until")
    spec = project.the_dataset
    context.log(f"reading {spec.name}" + (f" as known at {until}" if until else ""))
    frame = frames.call(spec.function, moment, where=f"dataset {spec.name}")
    version = ingest_rows(
        context.workspace, context.actor, project.name, spec, frame, run_id=context.run_id, until=moment
    )
    context.log(f"{spec.name} version {version.number}: {version.rows} rows, {version.rows_quarantined} set aside")
    views = feature_catalog.ingest_views(context.workspace, context.actor, project, run_id=context.run_id, until=moment)
    return Pinned(
        dataset=version.number,
        fingerprint=version.fingerprint,
        rows=version.rows,
        quarantined=version.rows_quarantined,
        views={name: one.number for name, one in views.items()},
    )


def join(context: StepContext, source: str, until: str | None, window: str | None, ingest: Pinned) -> pl.DataFrame:
    """The labelled rows of the window with their features, joined as they were known at each row's event time."""
    project = load_project(Path(source))
    spec = project.the_dataset
    rows = read(context.workspace, project.name, spec.name, ingest.dataset).collect()
    moment = None if until is None else parse_time(until, where="until")
    rows = _in_window(_labelled(rows, spec, moment), spec, moment, window)
    if rows.height < _FEWEST_LABELLED:
        fix = "Give more labelled rows, or a longer window"
        raise CheckFailed(f"only {rows.height} labelled rows to learn from", where=f"dataset {spec.name}", fix=fix)
    context.log(f"{rows.height} labelled rows")
    views = feature_catalog.read_views(context.workspace, project, ingest.views)
    return feature_catalog.with_features(project, rows, views=views)


def columns(source: str, join: pl.DataFrame) -> Columns:
    """Which columns the model sees, and what its label is."""
    project = load_project(Path(source))
    spec, task = project.the_dataset, project.the_model.task
    features = _features_of(project, join)
    return Columns(
        features=features,
        categorical=tuple(name for name in features if join.schema[name] in {pl.String, pl.Categorical, pl.Enum}),
        label=spec.label,
        event_time=spec.event_time,
        task=task,
        classes=classes_of(join.get_column(spec.label), task),
    )


def split(context: StepContext, source: str, join: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    """Which rows are for training, validation and test."""
    project = load_project(Path(source))
    parts = split_rows(join, project.split_rule, event_time=columns.event_time, label=columns.label, seed=context.seed)
    counts = parts.value_counts().sort("part")
    context.log(", ".join(f"{part}: {count} rows" for part, count in counts.iter_rows()))
    return parts.to_frame()


def _labelled(rows: pl.DataFrame, spec: DatasetSpec, until: datetime | None) -> pl.DataFrame:
    """Rows whose label is there, and was known at the moment."""
    rows = rows.filter(pl.col(spec.label).is_not_null())
    if rows.schema[spec.label].is_float():
        rows = rows.filter(pl.col(spec.label).is_finite())
    if until is None:
        return rows
    if spec.label_time is not None:
        return rows.filter(pl.col(spec.label_time) <= until)
    if spec.event_time is not None:
        return rows.filter(pl.col(spec.event_time) + spec.label_delay <= until)
    return rows


def _in_window(rows: pl.DataFrame, spec: DatasetSpec, until: datetime | None, window: str | None) -> pl.DataFrame:
    """The newest rows, as far back as the window reaches; in the order of their event time where there is one."""
    if spec.event_time is None:
        return rows
    rows = rows.sort(spec.event_time, maintain_order=True)
    if window is None or rows.is_empty():
        return rows
    end = until or rows.get_column(spec.event_time)[-1]
    return rows.filter(pl.col(spec.event_time) >= end - duration(window, where="window"))


def _features_of(project: Project, rows: pl.DataFrame) -> tuple[str, ...]:
    spec = project.the_dataset
    other = {*spec.key, spec.label, spec.event_time, spec.label_time, *spec.ignore}
    own = set(spec.features) if spec.features is not None else None
    joined = set(feature_catalog.feature_names(project, rows))
    names = [
        name
        for name in rows.columns
        if name in joined
        or (name in own if own is not None else name not in other and not rows.schema[name].is_temporal())
    ]
    if not names:
        fix = "Name them with @project.dataset(features=[...])"
        raise CheckFailed("there is no column for the model to learn from", where=f"dataset {spec.name}", fix=fix)
    return tuple(names)
