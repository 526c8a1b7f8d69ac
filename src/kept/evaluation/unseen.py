"""Test rows that the champion was not trained on: only on those is comparing with it fair.

Where rows are divided by time, newer test rows are new to it. Where they are divided at random, many of today's test rows
were among yesterday's training rows, and a model looks better on rows that it knows.
"""

from collections.abc import Sequence

import polars as pl

from kept.core.errors import NotFound
from kept.governance.workspace import Workspace
from kept.pipelines.catalog import output_of
from kept.pipelines.codec import Codec
from kept.pipelines.context import StepContext
from kept.training.fitting import rows_of
from kept.training.splits import TRAIN, VALIDATION


def learnt_rows(context: StepContext, run_id: str) -> pl.DataFrame | None:
    """The rows that a run's model learnt from; None when what the run did is not known here."""
    codec = Codec(context.workspace.blobs, context.scratch)
    rows = _output(context.workspace, codec, run_id, "join")
    split = _output(context.workspace, codec, run_id, "split")
    if rows is None or split is None or rows.height != split.height:
        return None
    return rows_of(rows, split, TRAIN, VALIDATION)


def unseen(rows: pl.DataFrame, learnt: pl.DataFrame, key: Sequence[str]) -> pl.Series:
    """Whether each row is none of those learnt from.

    Rows are told apart by their key; without one, by all columns that both frames have.
    """
    if key and set(key) <= set(learnt.columns):
        # A key that was a number once and is a text now is the same key.
        by = [pl.col(name).cast(pl.String) for name in key]
    else:
        by = [pl.col(name) for name in rows.columns if learnt.schema.get(name) == rows.schema[name]]
    if not by:
        return pl.repeat(value=True, n=rows.height, dtype=pl.Boolean, eager=True)
    known = learnt.select(by).hash_rows()
    return ~rows.select(by).hash_rows().is_in(known.unique().implode())


def _output(workspace: Workspace, codec: Codec, run_id: str, step: str) -> pl.DataFrame | None:
    try:
        frame: pl.DataFrame = codec.load(output_of(workspace, run_id, step), pl.DataFrame, where=f"step {step!r}")
    except NotFound:
        return None
    return frame
