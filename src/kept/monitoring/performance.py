"""Live performance: what the labelled predictions of a window say of each objective."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec
import polars as pl

from kept.evaluation.slices import measure_slices
from kept.measures.bootstrap import metric_interval
from kept.measures.metrics import metric
from kept.monitoring.outcomes import Outcomes
from kept.monitoring.result import WindowResult
from kept.plan.objective import Objective
from kept.plan.specs import Task

LEAST_ROWS = 30
MONITOR = "performance"
DELAY = "label_delay_hours"

_DRAWS = 200
_HOUR = timedelta(hours=1) / timedelta(microseconds=1)
# Shown for every window beside the metrics that objectives name.
_ALWAYS: dict[Task, tuple[str, ...]] = {
    "binary": ("roc_auc", "log_loss", "brier_score"),
    "multiclass": ("accuracy", "log_loss"),
    "regression": ("mae", "rmse"),
}


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One metric on one window, over all rows or in one slice."""

    metric: str
    slice: str = ""
    value: float | None
    low: float | None = None
    high: float | None = None
    rows: int
    holds: bool | None = None

    def of(self, endpoint: str, version_id: str, start: datetime, monitor: str) -> WindowResult:
        """The same as a row of results."""
        return WindowResult(
            endpoint=endpoint, version_id=version_id, start=start, monitor=monitor, **msgspec.structs.asdict(self)
        )


def measure_window(
    task: Task, objectives: Sequence[Objective], outcomes: Outcomes, predictions: int, *, seed: int = 0
) -> list[Measured]:
    """Every metric of the objectives on a window's labelled predictions of one version, with 95% intervals.

    Args:
        task: what kind of model it is.
        objectives: the project's; those measured on the running service are left out here.
        outcomes: the labelled predictions.
        predictions: how many predictions there were, labelled or not; `coverage` is the labelled share.
        seed: of the bootstrap: the same rows give the same ends again.

    An objective is judged by the value itself, from `LEAST_ROWS` rows on (slices from 100): one window says little,
    which is why it takes several failing ones in a row to be called broken.
    """
    coverage = outcomes.rows / predictions if predictions else None
    found = [Measured(metric="coverage", value=coverage, rows=predictions)]
    if not outcomes.rows:
        return found
    judged = [one for one in objectives if not metric(one.metric).operational]
    whole = {one.metric: one for one in judged if one.by is None}
    for name in dict.fromkeys([*whole, *(one.metric for one in judged), *_ALWAYS[task]]):
        interval = metric_interval(name, outcomes.labels, outcomes.scores, seed=seed, draws=_DRAWS)
        found.append(
            Measured(
                metric=name,
                value=interval.estimate,
                low=interval.low,
                high=interval.high,
                rows=outcomes.rows,
                holds=_holds(whole.get(name), interval.estimate, outcomes.rows),
            )
        )
    for one in judged:
        if one.by is not None and one.by in outcomes.frame.columns:
            found += _by_slice(one, outcomes, seed)
    return found


def label_delay(joined: pl.DataFrame) -> list[Measured]:
    """How many hours after its prediction's event time each label was known: the median, and where the middle 80% lie."""
    labelled = joined.filter(pl.col("label").is_not_null())
    hours = labelled.select(after=(pl.col("label_known_at") - pl.col("event_time")).dt.total_microseconds() / _HOUR)
    if hours.is_empty():
        return []
    low, middle, high = hours.select(
        *(pl.col("after").quantile(share, "linear").alias(str(share)) for share in (0.1, 0.5, 0.9))
    ).row(0)
    return [Measured(metric=DELAY, value=middle, low=low, high=high, rows=hours.height)]


def failed_objectives(objectives: Iterable[Objective], measured: Iterable[Measured]) -> dict[str, bool]:
    """By the objective's name (with its slice): whether it failed in this window; what was not judged is left out."""
    verdicts: dict[str, bool] = {}
    results = list(measured)
    for one in objectives:
        for result in results:
            column = result.slice.partition("=")[0] if result.slice else None
            if result.metric == one.metric and column == one.by and result.holds is not None:
                verdicts[f"{one.name} ({result.slice})" if result.slice else one.name] = not result.holds
    return verdicts


def _by_slice(objective: Objective, outcomes: Outcomes, seed: int) -> list[Measured]:
    report = measure_slices(objective, outcomes.labels, outcomes.scores, outcomes.frame, seed=seed)
    return [
        Measured(
            metric=objective.metric,
            slice=f"{report.by}={one.value}",
            value=one.measured.estimate,
            low=one.measured.low,
            high=one.measured.high,
            rows=one.rows,
            holds=_holds(objective, one.measured.estimate, one.rows) if one.judged else None,
        )
        for one in report.slices
    ]


def _holds(objective: Objective | None, value: float | None, rows: int) -> bool | None:
    if objective is None or value is None or rows < LEAST_ROWS:
        return None
    return objective.holds(value)
