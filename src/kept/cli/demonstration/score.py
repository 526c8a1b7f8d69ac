"""The score of the demo: month by month, the model left alone beside the model kept, on the same requests."""

from datetime import datetime

import msgspec
import numpy as np
import polars as pl

from kept.measures.losses import row_loss
from kept.measures.metrics import measure

_DRAWS = 10_000


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """How good predictions were."""

    roc_auc: float
    log_loss: float
    ece: float


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """Both models on the labelled requests of one month."""

    month: str
    rows: int
    alone: Quality
    kept: Quality


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """By how much the kept model's log loss is lower, with the paired bootstrap's 95% interval over days."""

    rows: int
    log_loss: float
    low: float
    high: float


def compare(truth: pl.DataFrame, kept: dict[str, float], alone: dict[str, float]) -> pl.DataFrame:
    """Requests that were answered and labelled, with what both models said."""
    return truth.with_columns(
        kept=pl.col("key").replace_strict(kept, default=None, return_dtype=pl.Float64),
        alone=pl.col("key").replace_strict(alone, default=None, return_dtype=pl.Float64),
    ).drop_nulls(["kept", "alone"])


def months(scored: pl.DataFrame) -> list[Month]:
    """Each month's score."""
    found = []
    for (month,), group in scored.group_by(pl.col("at").dt.strftime("%Y-%m"), maintain_order=True):
        sides = {side: _quality(group, side) for side in ("alone", "kept")}
        found.append(Month(month=str(month), rows=group.height, **sides))
    return found


def gain(scored: pl.DataFrame, since: datetime, *, seed: int = 0) -> Gain | None:
    """The gain in log loss over everything from a moment on; None where there is nothing.

    Days are drawn, not flights: those of one stormy day are late together, and drawing them one by one would make the
    interval several times too narrow (Davison and Hinkley 1997, section 3.8).
    """
    rows = scored.filter(pl.col("at") >= since)
    if rows.is_empty():
        return None
    labels, alone, kept = (rows.get_column(name).to_numpy() for name in ("label", "alone", "kept"))
    lower = pl.Series("lower", row_loss("log_loss", labels, alone) - row_loss("log_loss", labels, kept))
    days = rows.with_columns(lower).group_by(pl.col("at").dt.date()).agg(pl.sum("lower"), pl.len()).sort("at")
    sums, counts = days.get_column("lower").to_numpy(), days.get_column("len").to_numpy()
    drawn = np.random.default_rng(seed).integers(0, len(sums), (_DRAWS, len(sums)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [0.025, 0.975])
    return Gain(rows=rows.height, log_loss=float(sums.sum() / counts.sum()), low=float(low), high=float(high))


def _quality(group: pl.DataFrame, side: str) -> Quality:
    labels, scores = group.get_column("label").to_numpy(), group.get_column(side).to_numpy()
    return Quality(
        roc_auc=measure("roc_auc", labels, scores),
        log_loss=measure("log_loss", labels, scores),
        ece=measure("expected_calibration_error", labels, scores),
    )
