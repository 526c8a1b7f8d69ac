"""The evaluation report: every metric of a model on its test rows, with intervals."""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Literal

import msgspec
import numpy as np
import polars as pl

from kept.core.errors import Invalid
from kept.evaluation.measured import measured
from kept.evaluation.slices import SliceReport, measure_slices
from kept.measures.arrays import Array, Floats
from kept.measures.calibration import ReliabilityCurve, reliability_curve
from kept.measures.intervals import Interval
from kept.measures.losses import likeliest
from kept.measures.metrics import Task, metric, metrics_for
from kept.plan.objective import Objective

Label = str | bool | int | float

_FEW_ROWS = 2_000
_DRAWS_FEW, _DRAWS_MANY = 1_000, 200


class EvaluationReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a model does on rows it has not seen. Numbers that are not defined are None."""

    task: Task | Literal["tensors"]
    """`tensors` for a model that has neither labels nor values: nothing was measured of it but its operation."""
    classes: tuple[Label, ...]
    """Names of the classes, in the order of their indices; empty for regression."""
    rows: int
    metrics: dict[str, Interval]
    """Every metric of the task."""
    slices: tuple[SliceReport, ...]
    """One for each objective that names a column."""
    calibration: ReliabilityCurve | None
    confusion: tuple[tuple[int, ...], ...]
    """Rows of the table are true classes, columns predicted ones; empty for regression."""
    operational: dict[str, float | None]
    """Measured on the packaged model: latency_p50_ms, latency_p99_ms, size_mb."""
    seed: int


def unmeasured(rows: int, operational: Mapping[str, float | None]) -> EvaluationReport:
    """The report of a model that answers tensors only, which was held against so many rows."""
    return EvaluationReport(
        task="tensors",
        classes=(),
        rows=rows,
        metrics={},
        slices=(),
        calibration=None,
        confusion=(),
        operational=dict(operational),
        seed=0,
    )


def evaluate(
    task: Task,
    classes: Iterable[Label],
    scores: Array,
    labels: Array,
    frame: pl.DataFrame,
    objectives: Iterable[Objective],
    operational: Mapping[str, float],
    *,
    seed: int,
    windows: Array | None = None,
) -> EvaluationReport:
    """Measures a model on its test rows.

    Args:
        task: what kind of model it is.
        classes: names of the classes, in the order of their indices; none for regression.
        scores: binary: the probability of the second class `(n,)`; multiclass: of each class `(n, k)`; regression: `(n,)`.
        labels: indices of the classes, or numbers, `(n,)`.
        frame: the columns that objectives slice by, `n` rows in the same order.
        objectives: the project's; those with `by` are measured in every slice.
        operational: what was measured on the packaged model, by the name of the metric.
        seed: of the bootstrap; the same seed gives the same report.
        windows: the number of each row's monitoring window: from five on (in a slice, five of its own) each is one observation in the intervals, else each row is.

    Raises:
        Invalid: no rows, lengths that differ, labels or scores that are missing, a slice column that is not there.
    """
    names, promised = tuple(classes), tuple(objectives)
    truth, said = check_pairs(task, names, labels, scores)
    draws = draws_for(truth.size)
    return EvaluationReport(
        task=task,
        classes=names,
        rows=truth.size,
        metrics={one.name: measured(one, truth, said, windows, seed=seed, draws=draws) for one in metrics_for(task)},
        slices=tuple(
            measure_slices(one, truth, said, frame, seed=seed, windows=windows)
            for one in promised
            if one.by is not None and not metric(one.metric).operational
        ),
        calibration=None if task == "regression" else reliability_curve(truth, said),
        confusion=() if task == "regression" else _confusion(truth, likeliest(said), len(names)),
        operational={name: float(value) if isfinite(value) else None for name, value in operational.items()},
        seed=seed,
    )


def check_pairs(task: Task, classes: tuple[Label, ...], labels: Array, scores: Array) -> tuple[Floats, Floats]:
    """Labels and scores as float64, when they have the form that the task asks for and nothing is missing."""
    try:
        truth, said = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        fix = "Give class indices and probabilities, or numbers"
        raise Invalid(f"labels and scores must be numbers ({error})", where="evaluation", fix=fix) from error
    if truth.ndim != 1 or truth.size == 0:
        fix = "Check the split: its test part must hold labelled rows"
        raise Invalid("there are no labelled rows to evaluate on", where="evaluation", fix=fix)
    expected = (truth.size, len(classes)) if task == "multiclass" else (truth.size,)
    if said.shape != expected:
        fix = "Give one score a row, or for multiclass one probability a class"
        raise Invalid(f"scores have the shape {said.shape}, not {expected}", where="evaluation", fix=fix)
    missing = ~np.isfinite(truth)
    if missing.any():
        fix = "Leave rows without a label out"
        raise Invalid(f"{int(missing.sum())} labels are missing or infinite", where="evaluation", fix=fix)
    broken = ~np.isfinite(said if said.ndim == 1 else said.sum(axis=1))
    if broken.any():
        fix = f"The first is row {int(np.flatnonzero(broken)[0])}: see what the model does with it"
        raise Invalid(f"the model answers {int(broken.sum())} rows with no number", where="evaluation", fix=fix)
    return truth, said


def draws_for(rows: int) -> int:
    """How often the bootstrap draws: fewer times where a draw takes long and the ends move little."""
    return _DRAWS_FEW if rows <= _FEW_ROWS else _DRAWS_MANY


def _confusion(truth: Array, said: Array, classes: int) -> tuple[tuple[int, ...], ...]:
    cells = np.bincount(truth.astype(np.intp) * classes + said.astype(np.intp), minlength=classes * classes)
    return tuple(tuple(int(count) for count in row) for row in cells.reshape(classes, classes))
