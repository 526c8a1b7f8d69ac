"""Comparing runs as repeats: means with intervals, differences with a verdict in words."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kept.core.errors import Invalid, NotFound
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.measures.repeats import Contrast, holm, paired_contrast, repeated_mean, unpaired_contrast
from kept.tracking.comparison import (
    Better,
    ComparedMetric,
    CompareRuns,
    GroupDifference,
    Repeated,
    RunComparison,
    RunGroup,
    Verdict,
)
from kept.tracking.finding import found_runs
from kept.tracking.repeats import folds_of, grouped, keys_of, paired, values_of
from kept.tracking.run import RunData, RunStatus
from kept.tracking.telling import better_way, counted

_MOST_METRICS = 12
_STOPPED = (RunStatus.FAILED, RunStatus.CANCELLED)


@operation("runs.compare", needs=Permission.VIEW, audit=Audit.READ)
def compare_runs(workspace: Workspace, actor: Actor, request: CompareRuns) -> RunComparison:
    """Compares groups of runs over their seeds or folds: intervals of each metric, and differences from a baseline."""
    del actor
    with workspace.database.reading() as connection:
        found, experiments = found_runs(connection, request.runs, request.experiments, request.filter)
    kept = found if request.runs else [one for one in found if one.run.status not in _STOPPED]
    if not kept:
        raise NotFound("no run fits", where="runs", fix="Widen the filter, or name other runs")
    by = keys_of(kept, request.by)
    groups = grouped(kept, by, experiments, asked=bool(request.by))
    metrics = [ComparedMetric(name=name, better=_better(name, request)) for name in _metrics(kept, request.metrics)]
    chosen = _baseline(list(groups), request.baseline)
    members = {name: group[1] for name, group in groups.items()}
    notes = _notes(len(found) - len(kept), kept, by, chosen)
    return RunComparison(
        by=by,
        level=request.level,
        metrics=metrics,
        groups=[
            RunGroup(
                name=name,
                key=key,
                runs=[one.run.id for one in runs],
                metrics=[_repeated(runs, metric.name, request.level) for metric in metrics],
            )
            for name, (key, runs) in groups.items()
        ],
        baseline=chosen,
        differences=_differences(members, metrics, chosen, request.level) if chosen is not None else [],
        notes=notes,
    )


class _Told(NamedTuple):
    """A difference before all of them are known."""

    group: str
    metric: ComparedMetric
    contrast: Contrast
    pairs: int


def _differences(
    members: dict[str, list[RunData]], metrics: Sequence[ComparedMetric], baseline: str, level: float
) -> list[GroupDifference]:
    told = [
        _Told(name, metric, *_contrast(members[baseline], runs, metric.name, level))
        for name, runs in members.items()
        if name != baseline
        for metric in metrics
    ]
    known = [one for one in told if one.contrast.p is not None]
    adjusted = dict(zip(map(id, known), holm([one.contrast.p or 0.0 for one in known]), strict=True))
    return [_judged(one, adjusted.get(id(one)), len(known), 1 - level) for one in told]


def _contrast(baseline: list[RunData], other: list[RunData], metric: str, level: float) -> tuple[Contrast, int]:
    one, two = paired(baseline, other, metric)
    if len(one) > 1:
        return paired_contrast(one, two, folds=folds_of([*baseline, *other]), level=level), len(one)
    return unpaired_contrast(values_of(baseline, metric), values_of(other, metric), level=level), 0


def _judged(told: _Told, adjusted: float | None, comparisons: int, alpha: float) -> GroupDifference:
    interval, difference = told.contrast.interval, told.contrast.interval.estimate
    verdict: Verdict = "no interval" if adjusted is None else "undecided"
    if adjusted is not None and adjusted < alpha and difference:
        way: Better = "higher" if difference > 0 else "lower"
        verdict = way if told.metric.better is None else "better" if way == told.metric.better else "worse"
    return GroupDifference(
        group=told.group,
        metric=told.metric.name,
        difference=difference,
        low=interval.low,
        high=interval.high,
        pairs=told.pairs,
        method=interval.method,
        p=told.contrast.p,
        adjusted_p=adjusted,
        verdict=verdict,
        said=_said(told, verdict, adjusted, comparisons),
    )


def _said(told: _Told, verdict: Verdict, adjusted: float | None, comparisons: int) -> str:
    interval = told.contrast.interval
    if interval.estimate is None:
        return "no values to compare"
    if interval.low is None or interval.high is None or adjusted is None:
        return f"{interval.estimate:+.4g}, no interval: it takes two repeats of each"
    over = f"{told.pairs} pairs" if told.pairs else f"{interval.rows} runs, not paired"
    many = f" after Holm for {comparisons} comparisons" if comparisons > 1 else ""
    words = (
        f"{interval.estimate:+.4g} ({interval.low:+.4g} to {interval.high:+.4g}) over {over}, p = {adjusted:.2g}{many}"
    )
    return f"{verdict}: {words}"


def _repeated(runs: Sequence[RunData], metric: str, level: float) -> Repeated:
    values = values_of(runs, metric)
    found = repeated_mean(values, folds=folds_of(runs), level=level)
    if found.estimate is None:
        said = "no value"
    elif found.low is None or found.high is None:
        said = f"{found.estimate:.4g} (n=1, no interval)"
    else:
        said = f"{found.estimate:.4g} ({found.low:.4g} to {found.high:.4g}, n={len(values)})"
    return Repeated(
        metric=metric,
        mean=found.estimate,
        low=found.low,
        high=found.high,
        deviation=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        repeats=len(values),
        without=len(runs) - len(values),
        method=found.method,
        values=values,
        said=said,
    )


def _metrics(found: Sequence[RunData], asked: Sequence[str]) -> list[str]:
    counts = counted(found)
    if asked:
        if missing := [name for name in asked if name not in counts]:
            fix = f"They have {', '.join(sorted(counts)[:_MOST_METRICS]) or 'none'}"
            raise NotFound(f"none of the runs has the metric {missing[0]!r}", where="metrics", fix=fix)
        return list(dict.fromkeys(asked))
    return [name for name in sorted(counts) if 2 * counts[name] >= len(found)][:_MOST_METRICS]


def _better(name: str, request: CompareRuns) -> Better | None:
    """As the request says, else as is known of the name."""
    if name in request.higher_is_better:
        return "higher"
    return "lower" if name in request.lower_is_better else better_way(name)


def _baseline(groups: list[str], asked: str) -> str | None:
    if not asked:
        return groups[0] if len(groups) == 2 else None
    fitting = [name for name in groups if name == asked] or [name for name in groups if asked in name]
    if len(fitting) != 1:
        what = f"{len(fitting) or 'no'} groups fit {asked!r}"
        raise Invalid(what, where="baseline", fix=f"Name one of: {'; '.join(groups[:_MOST_METRICS])}")
    return fitting[0]


def _notes(stopped: int, found: Sequence[RunData], by: Sequence[str], baseline: str | None) -> list[str]:
    notes = []
    if stopped:
        notes.append(f"{stopped} runs that failed or were cancelled are left out")
    if folds_of(found) > 1:
        notes.append("folds share training rows: intervals are widened for it (Nadeau and Bengio 2003)")
    if baseline is None:
        notes.append("no baseline is named, so no differences are shown")
    notes.append(f"grouped by {', '.join(by)}; seeds tell how much training varies, not how much other data would")
    return notes
