"""The step that keeps what the rows looked like, so that production can be held against it."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kept.measures.arrays import Array, encode
from kept.measures.drift.grid import Kind
from kept.measures.drift.reference import build_reference
from kept.pipelines.context import StepContext
from kept.plan.loading import load_project
from kept.training.facts import Columns

# Where rows have no time they are dealt into as many windows as a reference needs to know its own sampling.
_WINDOWS = 20


def reference(context: StepContext, source: str, join: pl.DataFrame, columns: Columns) -> str:
    """The digest of the drift reference: the features of all rows, cut into monitoring windows by event time."""
    window = load_project(Path(source)).window
    table: dict[str, Array] = {}
    kinds: dict[str, Kind] = {}
    for name in columns.features:
        values = join.get_column(name)
        if name in columns.categorical:
            kinds[name] = "categorical"
            table[name] = np.array(values.cast(pl.String).to_list(), dtype=object)
        else:
            kinds[name] = "numeric"
            table[name] = values.cast(pl.Float64).to_numpy()
    if columns.event_time is None:
        numbers = np.random.default_rng(context.seed).integers(0, _WINDOWS, join.height)
    else:
        numbers = window_numbers(join.get_column(columns.event_time), window)
    made = build_reference(table, kinds, np.asarray(numbers))
    context.log(f"reference of {made.rows} rows in {made.windows} windows")
    return context.workspace.blobs.put(encode(made))


def window_numbers(moments: pl.Series, length: timedelta) -> NDArray[np.int64]:
    """The number of the monitoring window that each moment lies in, counted from midnight UTC of 1 January 1970."""
    return moments.dt.epoch("us").to_numpy() // round(length.total_seconds() * 1_000_000)
