"""Fairness: rates by group of people or things, window by window, and their widest gap.

Groups are the values of the columns by which an objective is promised. Of two classes: the share that is said to be
positive (demographic parity), of the truly positive (equal opportunity; Hardt, Price and Srebro 2016) and of the truly
negative (false alarms; with the former, equalised odds). Of more classes the share that is right. Results are kept by
window, so that they are shown over time as any other.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from kept.evaluation.slices import LEAST_ROWS
from kept.measures.arrays import Flags
from kept.measures.groups import group_rate, widest_gap
from kept.measures.losses import likeliest
from kept.monitoring.outcomes import Outcomes
from kept.monitoring.performance import Measured
from kept.plan.objective import Objective
from kept.plan.specs import Task

MONITOR = "fairness"
GAP = "_gap"

_MOST_GROUPS = 20


def measure_groups(task: Task, objectives: Sequence[Objective], outcomes: Outcomes) -> list[Measured]:
    """Each rate of each group with at least 100 rows (`column=value`), and of each column the widest gap (`column`).

    A gap does not hold when its interval lies above 0: groups then differ by more than chance, which people may have
    good reasons for, so that no alert is raised. Nothing for regression.
    """
    found: list[Measured] = []
    columns = dict.fromkeys(one.by for one in objectives if one.by is not None and one.by in outcomes.frame.columns)
    if task == "regression" or not outcomes.rows:
        return found
    for column in columns:
        groups = outcomes.frame.get_column(column).cast(pl.String).fill_null("(missing)")
        sizes = groups.value_counts(sort=True).head(_MOST_GROUPS)
        large = sorted(sizes.filter(pl.col("count") >= LEAST_ROWS).get_column(column).to_list())
        members = {group: (groups == group).to_numpy() for group in large}
        for name, event, among in _rates(task, outcomes):
            counts = {
                group: (int(np.count_nonzero(event & among & rows)), int(np.count_nonzero(among & rows)))
                for group, rows in members.items()
            }
            found += _measured(column, name, {group: held for group, held in counts.items() if held[1]})
    return found


def _rates(task: Task, outcomes: Outcomes) -> Iterable[tuple[str, Flags, Flags]]:
    """Each rate's name, which rows it counts, and among which."""
    said, everyone = likeliest(outcomes.scores), np.ones(outcomes.rows, dtype=bool)
    if task == "multiclass":
        yield "accuracy", said == outcomes.labels, everyone
        return
    yield "selection_rate", said == 1, everyone
    yield "true_positive_rate", said == 1, outcomes.labels == 1
    yield "false_positive_rate", said == 1, outcomes.labels == 0


def _measured(column: str, name: str, counts: dict[str, tuple[int, int]]) -> Iterable[Measured]:
    for group, held in counts.items():
        rate = group_rate(group, *held)
        yield Measured(
            metric=name, slice=f"{column}={group}", value=rate.value, low=rate.low, high=rate.high, rows=rate.rows
        )
    gap = widest_gap(counts)
    if gap is not None:
        yield Measured(
            metric=f"{name}{GAP}",
            slice=column,
            value=gap.value,
            low=gap.low,
            high=gap.high,
            rows=gap.rows,
            holds=gap.low <= 0,
        )
