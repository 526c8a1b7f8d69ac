"""Performance before labels come, from scores and features alone, learned from the version's own labelled predictions."""

from collections.abc import Sequence
from typing import Any, get_args
from zlib import crc32

import msgspec
import numpy as np
import polars as pl

from kept.measures.arrays import Floats
from kept.measures.class_estimates import OF_CLASSES, ClassEstimate, estimate_classes
from kept.measures.covariates import Covariates, farthest_outside
from kept.measures.direct_loss import ERRORS, ErrorEstimate, estimate_error
from kept.measures.domain import domain_weights
from kept.measures.drift.categories import category_name
from kept.measures.estimates import Estimate, Estimated, effective_sample_size, estimate
from kept.monitoring.performance import Measured
from kept.plan.objective import Objective
from kept.plan.specs import Task

MONITOR = "estimate"
PREFIX = "estimated_"
SUPPORT = "support"
OUTSIDE = "outside"

# How many labelled predictions are remembered to learn from (fewer of wide ones: they are written with every window), and
# how few are too few.
REMEMBERED = 2_000
_REMEMBERED_VALUES = 100_000
_REMEMBERED_AT_LEAST = 500
FEWEST = 200
_DRAWS = 40
# More of a window's rows tell the classifier little and cost as much as the others.
_MOST_ROWS = 4_000
# An estimate that rests on fewer labelled predictions than this is a guess, and so is one for much traffic of a kind that
# no labelled prediction was of.
LEAST_SUPPORT = 100.0
MOST_OUTSIDE = 0.1
PREDICTION = "(prediction)"
# Estimated for every window, as the same are measured once labels come.
_ALWAYS: dict[Task, tuple[str, ...]] = {
    "binary": ("roc_auc", "log_loss", "brier_score"),
    "multiclass": ("accuracy", "log_loss"),
    "regression": ("mae", "rmse"),
}


class Memory(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The newest labelled predictions: what was said, what came true, and their features.

    Scores are `(n,)`, or `(n, k)` for more than two classes; labels indices of classes, or numbers.
    """

    scores: Floats
    labels: Floats
    features: Covariates = msgspec.field(default_factory=Covariates)

    @classmethod
    def empty(cls) -> "Memory":
        """No predictions."""
        return cls(scores=np.zeros(0), labels=np.zeros(0))

    def with_rows(self, labels: Floats, scores: Floats, features: Covariates) -> "Memory":
        """The memory after more labelled predictions; the oldest beyond `REMEMBERED` are forgotten.

        What was remembered in another form (other columns or classes) is forgotten as well.
        """
        if not labels.size:
            return self
        after = self.features.and_then(features)
        if after.rows != self.labels.size + labels.size or self.scores.shape[1:] != scores.shape[1:]:
            held, labelled, after = scores, labels, features
        else:
            held, labelled = np.concatenate([self.scores, scores]), np.concatenate([self.labels, labels])
        most = _REMEMBERED_VALUES // max(len(features.columns), 1)
        newest = slice(-min(max(most, _REMEMBERED_AT_LEAST), REMEMBERED), None)
        return Memory(scores=held[newest], labels=labelled[newest], features=after.take(newest))

    @property
    def full(self) -> bool:
        """Whether it remembers as many as it ever will, so that more would push others out."""
        most = _REMEMBERED_VALUES // max(len(self.features.columns), 1)
        return self.labels.size >= min(max(most, _REMEMBERED_AT_LEAST), REMEMBERED)


def covariates(frame: pl.DataFrame, scores: Floats) -> Covariates:
    """Features as 32-bit numbers, with what was said of them: texts and flags by a number that stands for the value."""
    names, kinds, values = [], [], []
    for name in sorted(frame.columns):
        if name == "score":
            continue
        column = frame.get_column(name)
        numeric = column.dtype.is_numeric()
        if not numeric and column.dtype.is_nested():
            continue
        names.append(name)
        kinds.append(not numeric)
        values.append(column.cast(pl.Float64).to_numpy() if numeric else _codes(column.to_list()))
    said = scores[:, None] if scores.ndim == 1 else scores
    for place in range(said.shape[1]):
        names.append(f"{PREDICTION}{place}")
        kinds.append(False)
        values.append(said[:, place])
    filled = np.column_stack(values) if values else np.zeros((frame.height, 0))
    with np.errstate(over="ignore"):
        filled = filled.astype(np.float32)
    return Covariates(columns=tuple(names), categorical=tuple(kinds), values=filled)


def estimate_window(
    task: Task,
    objectives: Sequence[Objective],
    memory: Memory,
    scores: Floats,
    features: Covariates,
    *,
    seed: int = 0,
) -> list[Measured]:
    """The metrics of a window's predictions, estimated, with the intervals they may lie in, and what they rest on.

    PAPE for classes, doubly robust direct loss estimation for numbers. `support` is how many equally weighted labelled
    predictions the estimate rests on, `outside` (by column) the share of rows with a value that none of them had. Where
    either says that the estimate cannot be trusted it does not hold, and no objective is judged by the estimate.

    Nothing until enough labels have come. It cannot see that the same row now has another outcome: that is what
    labels are waited for.
    """
    if memory.labels.size < FEWEST or not scores.shape[0] or memory.scores.shape[1:] != scores.shape[1:]:
        return []
    if memory.features.columns != features.columns or memory.features.categorical != features.categorical:
        return []
    some = features.take(slice(None, None, -(-features.rows // _MOST_ROWS)))
    weights = domain_weights(memory.features, some)
    support, outside = effective_sample_size(weights), farthest_outside(memory.features, some)
    found = [_support(support, memory.labels.size)]
    if outside is not None and outside.share > 0:
        found.append(
            Measured(
                metric=OUTSIDE,
                slice=outside.column,
                value=outside.share,
                high=MOST_OUTSIDE,
                rows=features.rows,
                holds=outside.share <= MOST_OUTSIDE,
            )
        )
    trusted = all(one.holds for one in found)
    whole = {one.metric: one for one in objectives if one.by is None}
    for name in dict.fromkeys([*whole, *_ALWAYS[task]]):
        one = _estimated(task, name, memory, weights, scores, some, seed)
        if one is not None:
            bound = whole.get(name)
            holds = bound.holds(one.value) if trusted and bound is not None and one.value is not None else None
            found.append(
                Measured(
                    metric=f"{PREFIX}{name}", value=one.value, low=one.low, high=one.high, rows=one.rows, holds=holds
                )
            )
    return found


def caution(*, support: float | None = None, remembered: int = 0, outside: str = "", share: float = 0.0) -> str:
    """Why an estimate cannot be trusted, as a sentence; empty where it can, as long as outcomes have not changed."""
    if outside and share > MOST_OUTSIDE:
        column = "what the model says" if outside.startswith(PREDICTION) else outside
        return (
            f"cannot be trusted: {share:.0%} of the rows have a value of {column} that none of the labelled predictions it"
            " was learned from had"
        )
    if support is not None and support < LEAST_SUPPORT:
        return (
            f"cannot be trusted: traffic has moved to where only about {support:,.0f} of the {remembered:,} labelled"
            " predictions it was learned from lie"
        )
    return ""


def _support(support: float, remembered: int) -> Measured:
    return Measured(metric=SUPPORT, value=support, low=LEAST_SUPPORT, rows=remembered, holds=support >= LEAST_SUPPORT)


def _estimated(
    task: Task, name: str, memory: Memory, weights: Floats, scores: Floats, current: Covariates, seed: int
) -> Estimate | ClassEstimate | ErrorEstimate | None:
    if task == "regression":
        error = next((one for one in ERRORS if one == name), None)
        if error is None:
            return None
        return estimate_error(error, memory.features, memory.labels, memory.scores, weights, current)
    if task == "multiclass":
        of_classes = next((one for one in OF_CLASSES if one == name), None)
        if of_classes is None:
            return None
        draws = max(_DRAWS // max(scores.shape[1] // 3, 1), 10)
        return estimate_classes(
            of_classes,
            scores,
            reference=memory.scores,
            labels=memory.labels,
            weights=weights,
            seed=seed,
            draws=draws,
        )
    of_two: Estimated | None = next((one for one in get_args(Estimated) if one == name), None)
    if of_two is None:
        return None
    return estimate(
        of_two, scores, reference=memory.scores, labels=memory.labels, weights=weights, seed=seed, draws=_DRAWS
    )


def value_names(frame: pl.DataFrame) -> dict[float, str]:
    """The texts that the numbers of categories stand for."""
    found: dict[float, str] = {}
    for column in frame.iter_columns():
        if not (column.dtype.is_numeric() or column.dtype.is_nested()):
            for value in column.unique().to_list():
                text = category_name(value)
                if text is not None:
                    found[_code(text)] = text
    return found


def _codes(values: list[Any]) -> Floats:
    """A number for each value, the same in every window, NaN where it is missing."""
    known: dict[Any, float] = {}
    for value in set(values):
        text = category_name(value)
        known[value] = np.nan if text is None else _code(text)
    return np.array([known[value] for value in values], dtype=np.float64)


def _code(text: str) -> float:
    """24 bits of its checksum: as many as a 32-bit float holds."""
    return float(crc32(text.encode()) & 0xFFFFFF)
