"""Drift of a version's predictions, against those of its first windows of serving.

Scores on training rows are not what serving sees (they were fitted to, or drawn otherwise), so that a detector held against
them would alarm on the first day. The first ten windows with traffic (two whole cycles, where the project declares a season)
are the accepted period; the detector starts behind it.
"""

from datetime import datetime
from typing import Any

import msgspec
import numpy as np

from kept.measures.arrays import Array, Floats
from kept.measures.drift.categories import Coded
from kept.measures.drift.cycle import UTC, Cycle, season_of
from kept.measures.drift.detector import DriftFinding, DriftState, start, update
from kept.measures.drift.grid import Kind
from kept.measures.drift.reference import Reference, build_reference, count_window
from kept.measures.losses import likeliest
from kept.monitoring import drift
from kept.monitoring.accepted import enough_windows
from kept.monitoring.budget import Budget
from kept.monitoring.performance import Measured
from kept.monitoring.window import Window
from kept.plan.specs import Task

MONITOR = "predictions"
TITLE = "the predictions have drifted"

LEAST_ROWS = 30
_MOST_ROWS = 1_000
# What is collected is written with every window: a fortnight of short ones, and many classes, keep fewer rows of each.
_MOST_VALUES = 500_000
_MOST_CLASSES = 20
_SAID = "said"


class PredictionWatch(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Where the detector of one version's predictions stands: first it collects windows, then it has a reference."""

    version_id: str
    acted_at: datetime | None
    """Event time of the training for which it was started."""
    collected: tuple[Floats, ...] = ()
    """Scores of the first windows, shape `(rows, scores)`, until there are enough."""
    seasons: tuple[int, ...] = ()
    """The season of each."""
    reference: Reference | None = None
    detector: DriftState | None = None
    alarmed: bool = False


def continued(watch: PredictionWatch | None, version_id: str, acted_at: datetime | None) -> PredictionWatch:
    """The watch as it stood; a new one for a new version; its detector anew where a training has acted on it."""
    if watch is None or watch.version_id != version_id:
        return PredictionWatch(version_id=version_id, acted_at=acted_at)
    if acted_at is not None and (watch.acted_at is None or watch.acted_at < acted_at):
        return msgspec.structs.replace(watch, acted_at=acted_at, detector=None, alarmed=False)
    return watch


def feed(
    watch: PredictionWatch,
    task: Task,
    scores: Floats,
    windows: float,
    window: Window,
    cycle: Cycle | None = None,
    zone: str = UTC,
) -> tuple[PredictionWatch, DriftFinding | None]:
    """The watch after one more window of its version's scores, and what it showed once there is a reference.

    Args:
        watch: how it stood.
        task: what the scores are of.
        scores: as the model gave them; a window with fewer than 30 is left out.
        windows: its budget: at most one false alarm in so many of them.
        window: when they were given.
        cycle: what windows are told apart by, if they are.
        zone: the time zone by whose clock.
    """
    rows = scores[:, None] if scores.ndim == 1 else scores
    rows = rows[np.isfinite(rows).all(axis=1)]
    if rows.shape[0] < LEAST_ROWS or any(each.shape[1:] != rows.shape[1:] for each in watch.collected[:1]):
        return watch, None
    if watch.reference is None:
        return _collect(watch, task, rows, window, cycle, zone), None
    table, _ = _table(task, rows)
    season = watch.reference.season_at(window.start)
    if set(table) != set(watch.reference.grid.columns) or watch.reference.of_season(season) is None:
        return watch, None
    state = msgspec.structs.replace(watch.detector or start(watch.reference, windows), budget=windows)
    detector, finding = update(state, watch.reference, count_window(watch.reference, table), season)
    return msgspec.structs.replace(watch, detector=detector, alarmed=watch.alarmed or finding.alarm), finding


def _collect(
    watch: PredictionWatch, task: Task, rows: Floats, window: Window, cycle: Cycle | None, zone: str
) -> PredictionWatch:
    """The watch with one more window; with a reference once there are enough."""
    enough, seasons = enough_windows(cycle, window.end - window.start), watch.seasons
    if cycle is not None:
        seasons = (*seasons, season_of(cycle, window.start, zone))
    count = rows.shape[0]
    most = min(count, _MOST_ROWS, max(LEAST_ROWS, _MOST_VALUES // (enough * rows.shape[1])))
    collected = (*watch.collected, np.ascontiguousarray(rows[np.arange(most) * count // most], dtype=np.float64))
    if len(collected) < enough:
        return msgspec.structs.replace(watch, collected=collected, seasons=seasons)
    sizes = [each.shape[0] for each in collected]
    table, kinds = _table(task, np.concatenate(collected))
    numbers = np.repeat(np.arange(len(collected)), sizes)
    told = None if cycle is None else np.repeat(seasons, sizes)
    reference = build_reference(table, kinds, numbers, cycle=cycle, seasons=told, zone=zone)
    return msgspec.structs.replace(watch, collected=(), seasons=(), reference=reference)


def measured(finding: DriftFinding) -> list[Measured]:
    """The detector's value against its budget, then each score's evidence and distances."""
    whole = msgspec.structs.replace(drift.measured(finding), metric=MONITOR)
    return [whole, *drift.measured_columns(finding)]


def evidence_of(finding: DriftFinding, budget: Budget, window: Window) -> dict[str, Any]:
    """The numbers behind an alarm, and what it was held against."""
    against = f"this version's first {finding.seen.reference.windows} windows of serving"
    return {**drift.evidence_of(finding, budget, window), "against": against}


def _table(task: Task, rows: Floats) -> tuple[dict[str, Array | Coded], dict[str, Kind]]:
    if rows.shape[1] == 1:
        table: dict[str, Array | Coded] = {"score": rows[:, 0]}
        said = likeliest(rows[:, 0])
    else:
        table = {f"score of class {place}": rows[:, place] for place in range(min(rows.shape[1], _MOST_CLASSES))}
        said = likeliest(rows)
    kinds: dict[str, Kind] = dict.fromkeys(table, "numeric")
    if task != "regression":
        classes = max(rows.shape[1], 2)
        table[_SAID] = Coded(codes=said, categories=tuple(f"class {place}" for place in range(classes)))
        kinds[_SAID] = "categorical"
    return table, kinds
