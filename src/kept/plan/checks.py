"""Checks of what a project declares: each refusal says at which declaration, and what to write instead."""

import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from kept.core.durations import duration
from kept.core.errors import Invalid
from kept.measures.metrics import metric as metric_named
from kept.plan.objective import Objective
from kept.plan.specs import Task
from kept.plan.windows import MOST_LATE_WINDOWS

NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{0,99}$")
"""What projects and what they declare may be called."""


def checked_objective(objective: Any, where: str) -> Objective:
    """An objective that is one, with the bound on the side that its metric needs."""
    if not isinstance(objective, Objective):
        fix = 'Write at_least("roc_auc", 0.65) or at_most("latency_p99_ms", 20)'
        raise Invalid(f"{objective!r} is not an objective", where=where, fix=fix)
    metric = metric_named(objective.metric)
    better = "at_least" if metric.better == "higher" else "at_most"
    if objective.direction != better:
        fix = f'Write {better}("{objective.metric}", {objective.bound:g})'
        raise Invalid(f"of {objective.metric}, {metric.better} is better", where=where, fix=fix)
    return objective


def check_tuning(trials: int, tune_metric: str | None, task: Task, where: str) -> None:
    """Refuses numbers of trials below 1, and metrics that cannot be tuned by."""
    if trials < 1:
        raise Invalid(f"{trials} is not a number of trials", where=where, fix="Write trials=20")
    if tune_metric is None:
        return
    check_fits_task(tune_metric, f"tune_metric {tune_metric!r}", task, where)
    if metric_named(tune_metric).operational:
        fix = "Choose one that is measured on rows, such as log_loss"
        raise Invalid(f"tune_metric {tune_metric!r} is measured on the running service", where=where, fix=fix)


def check_fits_task(name: str, what: str, task: Task, where: str) -> None:
    """Refuses a metric that is none of the task."""
    tasks = metric_named(name).tasks
    if task not in tasks:
        fix = f"It is for {', '.join(sorted(tasks))}; choose a metric for {task}"
        raise Invalid(f"{what} does not fit the task {task}", where=where, fix=fix)


def check_release(strategy: str, on_timeout: str, max_disagreement: float | None, one_way: list[object]) -> None:
    """Refuses a release that is declared in two ways, or in none that there is."""
    where = "project.release"
    if strategy not in ("canary", "blue_green"):
        raise Invalid(
            f"{strategy!r} is not a strategy", where=where, fix='Write strategy="blue_green", or canary=[...]'
        )
    if sum(way is not None for way in one_way) > 1:
        fix = "Declare one of canary, ab and blue_green; a shadow can go before each"
        raise Invalid("a version takes over in one way", where=where, fix=fix)
    if on_timeout not in ("roll_back", "hold"):
        fix = 'Write on_timeout="roll_back" or on_timeout="hold"'
        raise Invalid(f"{on_timeout!r} is not what can happen", where=where, fix=fix)
    if max_disagreement is not None and not 0 <= max_disagreement < 1:
        raise Invalid(f"max_disagreement={max_disagreement!r} is not a share", where=where, fix="Write 0.05 for 5%")


def some_time(length: str | timedelta, where: str, fix: str = "Write how long nothing may come, as 2h") -> timedelta:
    """A length of time that is longer than nothing."""
    found = duration(length, where=where)
    if not found:
        raise Invalid("it is zero", where=where, fix=fix)
    return found


def lateness(length: str | timedelta | None, window: timedelta) -> timedelta | None:
    """How late rows of windows of this length may be; None where that is not declared."""
    where = "project.monitor(allowed_lateness)"
    allowed = None if length is None else duration(length, where=where)
    if allowed is not None and allowed > MOST_LATE_WINDOWS * window:
        fix = f"A window is counted again up to {MOST_LATE_WINDOWS} windows later: allow less, or make windows longer"
        raise Invalid(f"{length} is more than {MOST_LATE_WINDOWS} windows", where=where, fix=fix)
    return allowed


def expect(value: object, kind: Any, what: str, where: str, fix: str) -> None:
    """Refuses a value that is not of the kind, with `what` as the message."""
    if not isinstance(value, kind):
        raise Invalid(what, where=where, fix=fix)


def name_of(function: Callable[..., Any], where: str) -> str:
    """A function's name, which becomes that of what it declares."""
    if not NAME.fullmatch(function.__name__):
        raise Invalid("the function's name cannot be used", where=where, fix="Use lower-case letters, digits and _")
    return function.__name__


def names_of(names: str | Iterable[str]) -> tuple[str, ...]:
    """One name or several, as several."""
    return (names,) if isinstance(names, str) else tuple(names)
