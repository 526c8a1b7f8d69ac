"""The step `reference`: keeps the distribution of the training rows that production is compared with."""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kept.core.errors import CheckFailed, Invalid
from kept.data.catalog import read
from kept.features.catalog import read_views, with_features
from kept.measures.arrays import Array, encode
from kept.measures.drift.cycle import Cycle
from kept.measures.drift.grid import Kind
from kept.measures.drift.reference import build_reference
from kept.packaging.tensor_frames import with_numbers
from kept.pipelines.context import StepContext
from kept.plan.loading import load_project
from kept.plan.project import Project
from kept.plan.reference import named_version
from kept.plan.windows import Windows
from kept.training.facts import Columns, Pinned

# Where rows have no time they are dealt into as many windows as a reference needs to know its own sampling.
_WINDOWS = 20


def reference(context: StepContext, source: str, join: pl.DataFrame, columns: Columns, ingest: Pinned) -> str:
    """The digest of the drift reference: the features of all rows, cut into monitoring windows by event time.

    Rows are those of training, or of the version of a dataset that the project declares. Where it declares a season, the windows
    of each are told apart. Of a tensor its Euclidean norm is watched.
    """
    project = load_project(Path(source))
    if (named := named_version(project.reference)) is not None:
        join = _rows_of(context, project, named, columns, ingest)
    table: dict[str, Array] = {}
    kinds: dict[str, Kind] = {}
    join, names = with_numbers(join, columns.features, norm_only=True)
    for name in names:
        values = join.get_column(name)
        if name in columns.categorical:
            kinds[name] = "categorical"
            table[name] = np.array(values.cast(pl.String).to_list(), dtype=object)
        else:
            kinds[name] = "numeric"
            table[name] = values.cast(pl.Float64).to_numpy()
    numbers = numbered_windows(join, columns, project.windows, context.seed)
    seasons = declared_seasons(project, join, columns)
    made = build_reference(table, kinds, numbers, cycle=project.season, seasons=seasons, zone=project.time_zone)
    context.log(f"reference of {made.rows} rows in {made.windows} windows")
    for name in made.growing:
        context.log(f"{name} is not watched for drift but for missing values: each window lies beyond the one before")
    return context.workspace.blobs.put(encode(made))


def _rows_of(
    context: StepContext, project: Project, named: tuple[str, int], columns: Columns, ingest: Pinned
) -> pl.DataFrame:
    """The rows of a version of a dataset, with the features that are joined to them, in the order of their event time."""
    rows = read(context.workspace, project.name, *named).collect()
    rows = with_features(project, rows, views=read_views(context.workspace, project, ingest.views))
    where = f"{named[0]}@{named[1]}"
    needed = [*columns.features, *([columns.event_time] if columns.event_time else [])]
    if missing := [name for name in needed if name not in rows.columns]:
        fix = "Hold inputs against a version that has every column that the model sees"
        raise CheckFailed(f"it has no column {missing[0]}", where=where, fix=fix)
    context.log(f"inputs are held against {rows.height} rows of {where}")
    return rows.sort(columns.event_time, maintain_order=True) if columns.event_time else rows


def numbered_windows(rows: pl.DataFrame, columns: Columns, windows: Windows, seed: int) -> NDArray[np.int64]:
    """The window of each row: the monitoring window of its event time, or one by chance where rows have no time."""
    if columns.event_time is None:
        return np.random.default_rng(seed).integers(0, _WINDOWS, rows.height)
    return window_numbers(rows.get_column(columns.event_time), windows)


def declared_seasons(project: Project, rows: pl.DataFrame, columns: Columns) -> NDArray[np.int64] | None:
    """The season of each row's window; None where the project declares none. `Invalid` when rows have no time."""
    if project.season is None:
        return None
    if columns.event_time is None:
        fix = "Declare event_time, or no season"
        raise Invalid("rows without a time have no season", where=f"project {project.name}", fix=fix)
    return season_numbers(rows.get_column(columns.event_time), project.windows, project.season)


def window_numbers(moments: pl.Series, windows: Windows) -> NDArray[np.int64]:
    """The number of the monitoring window that each moment lies in."""
    return moments.to_frame("at").select(windows.numbers(pl.col("at"))).to_series().to_numpy()


def season_numbers(moments: pl.Series, windows: Windows, cycle: Cycle) -> NDArray[np.int64]:
    """The season, by the clock of the zone, of the monitoring window that each moment lies in; windows lie within a day."""
    # A day by the clock of the place is its own season: where it begins by UTC is of no matter.
    starts = moments if windows.local else moments.dt.truncate(windows.length)
    starts = starts.dt.convert_time_zone(windows.zone)
    return (starts.dt.hour() if cycle == "hour of day" else starts.dt.weekday() - 1).cast(pl.Int64).to_numpy()
