"""The step that keeps what the rows looked like, so that production can be held against it."""

from pathlib import Path

import numpy as np
import polars as pl

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
        length = round(window.total_seconds() * 1_000_000)
        numbers = join.get_column(columns.event_time).dt.epoch("us").to_numpy() // length
    made = build_reference(table, kinds, np.asarray(numbers))
    context.log(f"reference of {made.rows} rows in {made.windows} windows")
    return context.workspace.blobs.put(encode(made))
