"""The shipped predictions of an endpoint, read by windows of event time."""

from datetime import datetime

import numpy as np
import polars as pl

from kept.governance.workspace import Workspace
from kept.measures.arrays import Floats
from kept.monitoring.window import Window
from kept.plan.specs import Task

_FEATURE = "feature_"
_KINDS = {"number", "integer", "boolean", "category", "text"}
_OURS = 500


def predictions_table(endpoint: str) -> str:
    """The table of an endpoint's predictions."""
    return f"predictions/{endpoint}"


def errors_table(endpoint: str) -> str:
    """The table of an endpoint's failed requests."""
    return f"prediction_errors/{endpoint}"


class Stream:
    """One version of an endpoint's prediction table: what is read here does not change while it is read."""

    def __init__(self, workspace: Workspace, endpoint: str) -> None:
        self.endpoint = endpoint
        self._tables = workspace.tables
        self._now = workspace.clock.now()
        self.version = workspace.tables.version(predictions_table(endpoint))
        self._errors = workspace.tables.version(errors_table(endpoint))

    def rows(self) -> pl.LazyFrame | None:
        """All predictions, or None when none was shipped."""
        if self.version is None:
            return None
        return self._tables.read(predictions_table(self.endpoint), self.version)

    def span(self, known: datetime | None) -> tuple[datetime, datetime] | None:
        """The oldest and newest event time after what is known already, or None when there is nothing newer.

        Rows that claim to be of the future are left out: one wrong clock must not close every window to come.
        """
        rows = self.rows()
        if rows is None:
            return None
        rows = rows.filter(pl.col("event_time") <= self._now)
        if known is not None:
            rows = rows.filter(pl.col("event_time") > known)
        first, last = rows.select(first=pl.min("event_time"), last=pl.max("event_time")).collect().row(0)
        return None if last is None else (first, last)

    def between(self, start: datetime, end: datetime) -> pl.DataFrame:
        """Predictions with these event times, by event time and id."""
        rows = self.rows()
        if rows is None:
            return pl.DataFrame()
        inside = (pl.col("event_time") >= start) & (pl.col("event_time") < end)
        return rows.filter(inside).collect().sort("event_time", "id")

    def window(self, window: Window) -> pl.DataFrame:
        """A window's predictions, by event time and id."""
        return self.between(window.start, window.end)

    def failures(self, predictions: pl.DataFrame) -> pl.DataFrame:
        """Requests that failed by our fault between the first and the last of these predictions: `version_id`, `status`.

        A failed request has no event time, so it is placed by the time it came. What callers did wrong (below 500)
        says nothing of a model.
        """
        if self._errors is None or predictions.is_empty():
            return pl.DataFrame(schema={"version_id": pl.String, "status": pl.Int64})
        first, last = predictions.select(pl.min("received_at").alias("a"), pl.max("received_at").alias("b")).row(0)
        rows = self._tables.read(errors_table(self.endpoint), self._errors)
        return (
            rows.filter(pl.col("received_at").is_between(first, last), pl.col("status") >= _OURS)
            .select("version_id", "status")
            .collect()
        )


def features_of(predictions: pl.DataFrame) -> pl.DataFrame:
    """The features by their own names, and `score` where no feature is called so.

    A value that its column could not hold was logged in a column of its own (`feature_<name>__<kind>`): it is put
    back where its type allows it.
    """
    columns: dict[str, pl.Expr] = {}
    names = [name for name in predictions.columns if name.startswith(_FEATURE)]
    for name in names:
        base, _, kind = name.rpartition("__")
        if base in names and kind in _KINDS:
            columns[base] = pl.coalesce(columns[base], pl.col(name).cast(predictions.schema[base], strict=False))
        else:
            columns[name] = pl.col(name)
    found = predictions.select(one.alias(name.removeprefix(_FEATURE)) for name, one in columns.items())
    if "score" in found.columns or "score" not in predictions.columns:
        return found
    return found.with_columns(predictions["score"])


def scores_of(predictions: pl.DataFrame, task: Task) -> Floats:
    """The scores as the model gave them: `(n,)`, or `(n, k)` for more than two classes."""
    if task == "multiclass":
        return np.array(predictions["scores"].to_list(), dtype=np.float64).reshape(predictions.height, -1)
    return predictions["score"].to_numpy().astype(np.float64)
