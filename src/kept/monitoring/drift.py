"""Drift of an endpoint's traffic: closed windows go through the detector, whose state is kept between them."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import polars as pl

from kept.core.clock import format_time
from kept.measures.arrays import Array, Flags, decode, encode
from kept.measures.drift.categories import LARGEST_DICTIONARY
from kept.measures.drift.causes import ColumnFinding
from kept.measures.drift.counts import WindowCounts
from kept.measures.drift.detector import DriftFinding, DriftState, start, update
from kept.measures.drift.grid import Grid
from kept.measures.drift.reference import Reference, count_window
from kept.measures.drift.statistics import Yardstick
from kept.measures.drift.variation import LEAST_WINDOWS
from kept.monitoring.budget import Budget
from kept.monitoring.performance import Measured
from kept.monitoring.quality import Expected
from kept.monitoring.window import Window

MONITOR = "drift"
COLUMNS = "columns"
TITLE = "the inputs have drifted"

_RANKED = 10


class DriftWatch(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Where a drift detector of the champion stands."""

    version_id: str
    reference: str
    acted_at: datetime | None
    """Event time of the training for which it was started."""
    detector: DriftState
    alarmed: bool = False
    """Whether its alarm was raised: it is said once, until a training acts on it or another champion comes."""


def continued(
    watch: DriftWatch | None,
    *,
    version_id: str,
    digest: str,
    reference: Reference,
    acted_at: datetime | None,
    windows: float,
) -> DriftWatch:
    """The detector as it stood; a new one for a new champion or reference, and where a training has acted on its alarm.

    Args:
        watch: how it stood.
        version_id: the champion.
        digest: of its reference.
        reference: that itself.
        acted_at: event time of a training that came to its end.
        windows: its budget: at most one false alarm in so many of them.
    """
    same = watch is not None and (watch.version_id, watch.reference) == (version_id, digest)
    if watch is not None and same and (acted_at is None or (watch.acted_at is not None and watch.acted_at >= acted_at)):
        # What is declared counts from its declaration on.
        return msgspec.structs.replace(watch, detector=msgspec.structs.replace(watch.detector, budget=windows))
    return DriftWatch(version_id=version_id, reference=digest, acted_at=acted_at, detector=begin(reference, windows))


def load_reference(data: bytes) -> Reference:
    """The reference that training stored."""
    return decode(data, Reference)


def pack(state: DriftState) -> bytes:
    """The detector's state, bit for bit."""
    return encode(state)


def unpack(data: bytes) -> DriftState:
    """The state that `pack` was given."""
    return decode(data, DriftState)


def begin(reference: Reference, windows: float) -> DriftState:
    """A detector that has seen nothing, with at most one false alarm in so many windows."""
    return start(reference, windows)


def count(reference: Reference, frame: pl.DataFrame) -> WindowCounts:
    """The counts of a window's predictions. A column that was not logged counts as missing."""
    return count_window(reference, as_table(frame, reference.grid))


def judge(
    state: DriftState, reference: Reference, counts: WindowCounts, season: int | None = None
) -> tuple[DriftState, DriftFinding]:
    """The state after one more whole window, and what it showed."""
    return update(state, reference, counts, season)


def as_table(frame: pl.DataFrame, grid: Grid) -> dict[str, Array]:
    """The columns of a frame as the engine counts them: floats with NaN for missing, or values with None."""
    table: dict[str, Array] = {}
    for name in grid.columns:
        values = frame[name] if name in frame.columns else pl.Series(name, [None] * frame.height, dtype=pl.Float64)
        if name in grid.numeric:
            table[name] = values.cast(pl.Float64, strict=False).to_numpy()
        else:
            column = np.empty(frame.height, dtype=object)
            column[:] = values.to_list()
            table[name] = column
    return table


def without(reference: Reference, columns: Collection[str]) -> Reference:
    """The reference with no statistic of these columns in use: what becomes of them raises no alarm."""
    hidden = [place for place, name in enumerate(reference.grid.columns) if name in columns]
    if not hidden:
        return reference
    where = reference.layout
    seen = ~(np.isin(where.column, hidden) | np.isin(where.second, hidden))
    seasons = {
        number: msgspec.structs.replace(one, yard=_used_where(one.yard, seen))
        for number, one in reference.seasons.items()
    }
    return msgspec.structs.replace(reference, yard=_used_where(reference.yard, seen), seasons=seasons)


def _used_where(yard: Yardstick, seen: Flags) -> Yardstick:
    return msgspec.structs.replace(yard, used=yard.used & seen)


def expectations(reference: Reference, hidden: Collection[str] = ()) -> list[Expected]:
    """What the rules without statistics hold each column to; nothing for those that are hidden."""
    grid, counts = reference.grid, reference.counts
    missing = counts.cells[grid.offsets[1:] - 1] / max(counts.rows, 1)
    found = []
    for place, (name, share) in enumerate(zip(grid.columns, missing, strict=True)):
        cells = counts.cells[grid.offsets[place] : grid.offsets[place + 1] - 1]
        largest = float(cells.max() / cells.sum()) if cells.sum() else 1.0
        if name in grid.numeric:
            low, high = float(counts.low[place]), float(counts.high[place])
            known = np.isfinite(low) and np.isfinite(high) and name not in reference.growing
            one = Expected(
                column=name,
                missing_share=float(share),
                largest_share=largest,
                low=low if known else None,
                high=high if known else None,
                beyond_share=2 / (counts.rows + 1),
            )
        else:
            names = grid.categories[place - len(grid.numeric)].names
            seen = frozenset(names) if len(names) < LARGEST_DICTIONARY else None
            present = int(cells.sum())
            one = Expected(
                column=name,
                missing_share=float(share),
                largest_share=largest,
                categories=seen,
                unseen_share=float((cells[: len(names)] == 1).sum() / present) if present else 0.0,
            )
        found.append(one)
    return [one for one in found if one.column not in hidden]


def measured(finding: DriftFinding) -> Measured:
    """The detector's value against its budget."""
    return Measured(
        metric="drift", value=finding.value, high=finding.budget, rows=finding.rows, holds=not finding.alarm
    )


def measured_columns(finding: DriftFinding) -> list[Measured]:
    """Each column's evidence, effect and distances from the reference."""
    found = []
    for column in finding.columns:
        numbers = {"evidence": column.evidence, "effect": column.effect, **msgspec.structs.asdict(column.distance)}
        found += [
            Measured(metric=metric, slice=column.name, value=value, rows=finding.rows)
            for metric, value in numbers.items()
            if value is not None
        ]
    return found


def evidence_of(finding: DriftFinding, budget: Budget, window: Window) -> dict[str, Any]:
    """The numbers behind an alarm, its budget as a sentence, and its causes, the likeliest first."""
    listed = [column for column in finding.columns if column.listed] or list(finding.columns[:1])
    caution = _caution(finding)
    return {
        "budget": budget.sentence,
        "detector": finding.value,
        "alarms_at": finding.budget,
        "windows": finding.windows,
        "window": {"start": format_time(window.start), "end": format_time(window.end)},
        "rows": finding.rows,
        "causes": [_sentence(column) for column in listed[:_RANKED]],
        "columns": [msgspec.to_builtins(column) for column in finding.columns[:_RANKED]],
        **({"caution": caution} if caution else {}),
    }


def _caution(finding: DriftFinding) -> str:
    """Why the budget may not be kept; empty where the reference knows how windows vary."""
    if finding.assumes_independence:
        return "the reference has too few windows to tell how much they vary: they are taken to vary by sampling alone"
    if finding.independent_windows < LEAST_WINDOWS:
        return (
            "each window of the reference is like the one before, so that they tell no more of how much windows vary than"
            f" {max(finding.independent_windows, 1):.0f} independent ones: false alarms may come more often than the budget says"
        )
    return ""


def _sentence(column: ColumnFinding) -> str:
    if column.statistic is None or column.reference is None or column.current is None:
        return f"{column.name} changed"
    what = {
        "location": "its mean score",
        "scale": "its spread",
        "missing": "its missing share",
        "shape": f"its share in {column.detail}",
        "category": f"its share of {column.detail}",
        "pair": f"its correlation with {column.detail}",
    }[column.statistic]
    effect = "" if column.effect is None else f" ({column.effect:+.2f} standard deviations)"
    return f"{column.name}: {what} went from {column.reference:.3g} to {column.current:.3g}{effect}"
