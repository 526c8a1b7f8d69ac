"""Two models on the same rows: who is better, by how much, and how sure that is."""

from collections.abc import Iterable

import msgspec
import numpy as np

from kept.evaluation.report import Label, check_pairs, draws_for
from kept.measures.arrays import Array
from kept.measures.bootstrap import difference_interval
from kept.measures.clustered import FEWEST_WINDOWS, clustered_difference
from kept.measures.metrics import Better, Task, measure, metric
from kept.plan.objective import Objective

_PROPER: dict[Task, str] = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of both models. The improvement is positive where the challenger is better, whatever the metric."""

    metric: str
    better: Better
    challenger: float | None
    rival: float | None
    improvement: float | None
    low: float | None
    high: float | None
    """The paired interval of the improvement, at 95%."""
    by_rows: bool = False
    """Where windows are the observations of the others: whether rows are of this one, which is not defined without one of them."""

    @property
    def clearly_worse(self) -> bool:
        """Whether the whole interval is below zero."""
        return self.high is not None and self.high < 0

    @property
    def clearly_better(self) -> bool:
        """Whether the whole interval is above zero."""
        return self.low is not None and self.low > 0


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A challenger against a rival (the champion, the simple baseline) on the same rows."""

    rival: str
    rows: int
    windows: int | None = None
    """Monitoring windows that the rows lie in, where each is one observation of the two; None where each row is."""
    loss: str
    """The proper loss of the task, by which the two are judged; it is among the differences."""
    differences: tuple[Difference, ...]
    sentence: str

    @property
    def judged(self) -> Difference:
        """The difference in the proper loss."""
        return next(one for one in self.differences if one.metric == self.loss)


def proper_loss(task: Task) -> str:
    """The loss that the true probabilities (the true mean) make smallest."""
    return _PROPER[task]


def compare(
    task: Task,
    classes: Iterable[Label],
    labels: Array,
    challenger: Array,
    rival: Array,
    *,
    name: str,
    objectives: Iterable[Objective] = (),
    seed: int,
    windows: Array | None = None,
) -> Comparison:
    """Compares two models' scores of the same rows in the metrics of the objectives and in the proper loss.

    Args:
        task: what kind of models they are.
        classes: names of the classes, in the order of their indices.
        labels: class indices, or numbers, `(n,)`.
        challenger: its scores, formed as `evaluate` takes them.
        rival: the other's scores of the same rows.
        name: what the rival is: `champion`, `baseline`.
        objectives: whose metrics are compared, besides the proper loss.
        seed: of the bootstrap.
        windows: the number of each row's monitoring window. Rows of one window hang together, so that from five windows on
            each is one observation; without them, with fewer, and for a metric that is not defined without one of them, each row is.
    """
    names = tuple(classes)
    truth, ours = check_pairs(task, names, labels, challenger)
    _, theirs = check_pairs(task, names, labels, rival)
    loss = proper_loss(task)
    chosen = dict.fromkeys([loss, *(one.metric for one in objectives)])
    count = 0 if windows is None else np.unique(windows).size
    judged = windows if count >= FEWEST_WINDOWS else None
    differences = tuple(
        _difference(each, truth, ours, theirs, seed, judged) for each in chosen if not metric(each).operational
    )
    return Comparison(
        rival=name,
        rows=truth.size,
        windows=None if judged is None else count,
        loss=loss,
        differences=differences,
        sentence=_sentence(name, differences[0], truth.size, None if judged is None else count),
    )


def _difference(
    name: str, labels: Array, challenger: Array, rival: Array, seed: int, windows: Array | None
) -> Difference:
    better = metric(name).better
    found = None if windows is None else clustered_difference(name, labels, rival, challenger, windows)
    by_rows = found is not None and found.low is None
    if found is None or by_rows:
        found = difference_interval(name, labels, rival, challenger, seed=seed, draws=draws_for(labels.size))
    ends = (found.low, found.high) if better == "higher" else (_minus(found.high), _minus(found.low))
    return Difference(
        metric=name,
        better=better,
        challenger=_known(measure(name, labels, challenger)),
        rival=_known(measure(name, labels, rival)),
        improvement=found.estimate if better == "higher" else _minus(found.estimate),
        low=ends[0],
        high=ends[1],
        by_rows=by_rows,
    )


def _minus(value: float | None) -> float | None:
    return None if value is None else 0.0 - value


def _known(value: float) -> float | None:
    return None if value != value else value  # noqa: PLR0124 - NaN is what differs from itself


def _sentence(name: str, one: Difference, rows: int, windows: int | None) -> str:
    if one.improvement is None or one.low is None or one.high is None:
        return f"On {rows:,} rows the model cannot be compared with the {name} in {one.metric}."
    if one.clearly_better:
        verdict = f"is better than the {name}"
    elif one.clearly_worse:
        verdict = f"is worse than the {name}"
    else:
        verdict = f"cannot be told apart from the {name}"
    by = "" if windows is None else f", judged by its {windows:,} windows"
    return (
        f"On the same {rows:,} rows the model {verdict}: {one.metric} {one.challenger:.4g} against {one.rival:.4g}, "
        f"an improvement of {one.improvement:.4g} (95% interval {one.low:.4g} to {one.high:.4g}{by})."
    )
