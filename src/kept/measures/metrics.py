"""The catalogue of metrics: what a name means, for which task, and which way is better."""

import difflib
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kept.core.errors import Invalid
from kept.measures import calibration, labelled, losses, ranking, regression
from kept.measures.arrays import Array, Floats

Task = Literal["binary", "multiclass", "regression"]
Better = Literal["higher", "lower"]
Needs = Literal["scores", "labels", "operation"]

_ALL_TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What a metric's name means.

    `needs` says what it is computed from: "scores" (probabilities, or predicted numbers), "labels" (predicted
    classes) or "operation" (measured on the running service, elsewhere). `rows`, where there is one, gives the
    values whose mean is the metric.
    """

    name: str
    tasks: tuple[Task, ...]
    better: Better
    needs: Needs
    formula: Callable[[Array, Array], float] | None = None
    rows: Callable[[Array, Array], Floats] | None = None

    @property
    def operational(self) -> bool:
        """Whether it is measured on the running service and not on rows."""
        return self.needs == "operation"

    def compute(self, labels: Array, predicted: Array) -> float:
        """The metric of true labels `(n,)` against what it needs: scores `(n,)` or `(n, k)`, or classes `(n,)`.

        Binary labels are 0 and 1, multiclass ones the indices of the score columns. NaN, and never a warning,
        where it is not defined: no rows, a missing or infinite label or score, only one class where two are compared, a
        result beyond the largest number.

        Raises:
            Invalid: the lengths differ, labels are not what the task asks for, or it is operational.
        """
        if self.formula is None:
            raise Invalid("it is measured on the running service", where=self.name, fix="Read it from the measurements")
        labels, predicted = check_rows(labels, predicted, where=self.name)
        if labels.size == 0 or not (np.isfinite(labels).all() and np.isfinite(predicted).all()):
            return float("nan")
        if self.needs == "scores" and "regression" not in self.tasks:
            _check_classes(labels, predicted, where=self.name)
        with np.errstate(over="ignore", invalid="ignore"):
            found = self.formula(labels, predicted)
        return found if math.isfinite(found) else math.nan


def check_rows(labels: Array, predicted: Array, *, where: str) -> tuple[Floats, Floats]:
    """Both as float64 arrays of one length; `Invalid` when they are not."""
    try:
        truth, said = np.asarray(labels, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise Invalid(f"labels and predictions must be numbers: {error}", where=where, fix="Encode them") from error
    if truth.ndim != 1 or said.ndim not in {1, 2} or truth.shape[0] != said.shape[0]:
        raise Invalid(
            f"labels of shape {truth.shape} do not fit predictions of shape {said.shape}",
            where=where,
            fix="Give one label a row, and one score or one row of probabilities a row",
        )
    return truth, said


def _check_classes(labels: Floats, scores: Floats, *, where: str) -> None:
    classes = scores.shape[1] if scores.ndim == 2 else 2
    if labels.min() < 0 or labels.max() >= classes or np.any(labels != np.floor(labels)):
        raise Invalid(
            f"labels must be whole numbers from 0 to {classes - 1}", where=where, fix="Encode the classes as indices"
        )


def _mean_of(rows: Callable[[Array, Array], Floats]) -> Callable[[Array, Array], float]:
    def mean(labels: Array, predicted: Array) -> float:
        return float(rows(labels, predicted).mean())

    return mean


def _of_rows(
    name: str, tasks: tuple[Task, ...], better: Better, needs: Needs, rows: Callable[[Array, Array], Floats]
) -> Metric:
    return Metric(name=name, tasks=tasks, better=better, needs=needs, formula=_mean_of(rows), rows=rows)


def _absolute_errors(labels: Array, predicted: Array) -> Floats:
    return losses.row_loss("absolute_error", labels, predicted)


_BINARY: tuple[Task, ...] = ("binary",)
_CLASSES: tuple[Task, ...] = ("binary", "multiclass")
_NUMBERS: tuple[Task, ...] = ("regression",)


def _of_labels(name: str, tasks: tuple[Task, ...], formula: Callable[[Array, Array], float]) -> Metric:
    return Metric(name=name, tasks=tasks, better="higher", needs="labels", formula=formula)


def _of_scores(name: str, tasks: tuple[Task, ...], better: Better, formula: Callable[[Array, Array], float]) -> Metric:
    return Metric(name=name, tasks=tasks, better=better, needs="scores", formula=formula)


def _operational(name: str) -> Metric:
    return Metric(name=name, tasks=_ALL_TASKS, better="lower", needs="operation")


_METRICS = (
    _of_scores("roc_auc", _CLASSES, "higher", ranking.roc_auc),
    _of_scores("average_precision", _BINARY, "higher", ranking.average_precision),
    _of_rows("log_loss", _CLASSES, "lower", "scores", losses.log_losses),
    _of_rows("brier_score", _CLASSES, "lower", "scores", losses.squared_probability_error),
    _of_scores("expected_calibration_error", _CLASSES, "lower", calibration.expected_calibration_error),
    _of_rows("accuracy", _CLASSES, "higher", "labels", labelled.correct),
    _of_labels("balanced_accuracy", _CLASSES, labelled.balanced_accuracy),
    _of_labels("precision", _BINARY, labelled.precision),
    _of_labels("recall", _BINARY, labelled.recall),
    _of_labels("f1", _BINARY, labelled.f1),
    _of_labels("macro_f1", _CLASSES, labelled.macro_f1),
    _of_rows("mae", _NUMBERS, "lower", "scores", _absolute_errors),
    _of_scores("rmse", _NUMBERS, "lower", regression.root_mean_squared_error),
    _of_rows("mape", _NUMBERS, "lower", "scores", losses.percentage_errors),
    _of_scores("median_absolute_error", _NUMBERS, "lower", regression.median_absolute_error),
    _of_scores("r2", _NUMBERS, "higher", regression.r2),
    _operational("latency_p50_ms"),
    _operational("latency_p99_ms"),
    _operational("size_mb"),
    _operational("error_rate"),
)

CATALOG: Mapping[str, Metric] = types.MappingProxyType({each.name: each for each in _METRICS})


def metric(name: str) -> Metric:
    """The metric of this name; `Invalid` lists the names that come close."""
    found = CATALOG.get(name)
    if found is None:
        close = difflib.get_close_matches(name, CATALOG, n=4, cutoff=0.4) or sorted(CATALOG)
        raise Invalid(f"there is no metric {name!r}", where="metric", fix=f"Did you mean {', '.join(close)}?")
    return found


def metrics_for(task: Task) -> tuple[Metric, ...]:
    """The metrics that rows of this task have, in the order of the catalogue, without the operational ones."""
    return tuple(each for each in _METRICS if task in each.tasks and not each.operational)


def measure(of: Metric | str, labels: Array, scores: Array, *, threshold: float = 0.5) -> float:
    """A metric from scores, whatever it needs: classes are those at or above the threshold, or the likeliest ones."""
    chosen = metric(of) if isinstance(of, str) else of
    if chosen.needs != "labels":
        return chosen.compute(labels, scores)
    truth, said = check_rows(labels, scores, where=chosen.name)
    if not np.isfinite(said).all():
        return float("nan")
    return chosen.compute(truth, losses.likeliest(said, threshold=threshold))
