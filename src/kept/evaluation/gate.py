"""The gate: accepts or rejects a model by its project's objectives, with every reason."""

from collections.abc import Iterable
from math import isfinite
from typing import Literal

import msgspec

from kept.evaluation.comparison import Comparison
from kept.evaluation.report import EvaluationReport
from kept.evaluation.slices import Slice, SliceReport
from kept.measures.metrics import metric
from kept.plan.objective import Objective

_ONLY_IN_PRODUCTION = "error_rate"


class SliceJudgement(msgspec.Struct, frozen=True, kw_only=True):
    """An objective in one slice. `holds` is None where it is shown and not judged."""

    value: str
    rows: int
    measured: float | None
    low: float | None
    high: float | None
    margin: float | None
    holds: bool | None
    note: str = ""


class ObjectiveResult(msgspec.Struct, frozen=True, kw_only=True):
    """One objective, what was measured, and whether it holds.

    For an objective by slice, value and margin are those of the worst slice that is judged.
    """

    objective: Objective
    value: float | None
    low: float | None
    high: float | None
    margin: float | None
    passed: bool
    sentence: str
    worst: str | None = None
    slices: tuple[SliceJudgement, ...] = ()


CheckName = Literal["not clearly worse than the baseline", "not clearly worse than the champion", "answers as declared"]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A check that every model must pass, declared by Kept."""

    name: CheckName
    passed: bool
    sentence: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Every objective and check with its outcome. Accepted when all hold."""

    accepted: bool
    objectives: tuple[ObjectiveResult, ...]
    checks: tuple[Check, ...]
    reasons: tuple[str, ...]
    """Why it is rejected, a sentence each; empty when it is accepted."""

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the objectives and checks that do not hold."""
        promises = tuple(one.objective.name for one in self.objectives if not one.passed)
        return promises + tuple(one.name for one in self.checks if not one.passed)


def judge(
    objectives: Iterable[Objective],
    report: EvaluationReport,
    *,
    champion: Comparison | None = None,
    baseline: Comparison | None = None,
) -> Verdict:
    """Holds a report against the objectives, the simple baseline and the champion.

    Both are compared in the task's proper loss, on the same rows. A candidate is clearly worse when the paired interval
    of its improvement lies wholly below zero: only then does the check fail, so that few test rows
    do not reject a model by chance. The sentence says when the two cannot be told apart.
    An objective whose metric was not measured fails: a promise that nobody checked is not kept. The error rate is left
    to the canary and to production: there are no requests yet that could fail.
    """
    results = tuple(_judge_one(one, report) for one in objectives if one.metric != _ONLY_IN_PRODUCTION)
    checks = []
    if baseline is not None:
        checks.append(_check("not clearly worse than the baseline", baseline))
    if champion is not None:
        checks.append(_check("not clearly worse than the champion", champion))
    reasons = [one.sentence for one in results if not one.passed]
    reasons += [f"It must be {one.name}. {one.sentence}" for one in checks if not one.passed]
    return Verdict(accepted=not reasons, objectives=results, checks=tuple(checks), reasons=tuple(reasons))


def _check(name: CheckName, comparison: Comparison) -> Check:
    return Check(name=name, passed=not comparison.judged.clearly_worse, sentence=comparison.sentence)


def _judge_one(objective: Objective, report: EvaluationReport) -> ObjectiveResult:
    if metric(objective.metric).operational:
        return _judge_value(objective, report.operational.get(objective.metric), None, None)
    if objective.by is not None:
        found = next(
            (one for one in report.slices if (one.metric, one.by) == (objective.metric, objective.by)),
            SliceReport(metric=objective.metric, by=objective.by, slices=()),
        )
        return _judge_slices(objective, found)
    measured = report.metrics.get(objective.metric)
    if measured is None:
        return _judge_value(objective, None, None, None)
    return _judge_value(objective, measured.estimate, measured.low, measured.high)


def _judge_value(objective: Objective, value: float | None, low: float | None, high: float | None) -> ObjectiveResult:
    if value is None or not isfinite(value):
        sentence = f"{objective.metric} was not measured or is not defined; promised is {_promise(objective)}."
        return ObjectiveResult(
            objective=objective, value=None, low=None, high=None, margin=None, passed=False, sentence=sentence
        )
    passed = objective.holds(value)
    return ObjectiveResult(
        objective=objective,
        value=value,
        low=low,
        high=high,
        margin=objective.margin(value),
        passed=passed,
        sentence=f"{objective.metric} is {value:.4g}{_interval(low, high)}; promised is {_promise(objective)}.",
    )


def _judge_slices(objective: Objective, report: SliceReport) -> ObjectiveResult:
    slices = tuple(_judge_slice(objective, one) for one in report.slices)
    judged = [one for one in slices if one.margin is not None and one.holds is not None]
    if not judged:
        sentence = (
            f"No slice of {objective.by} could be judged for {objective.metric}; promised is {_promise(objective)}."
        )
        return ObjectiveResult(
            objective=objective,
            value=None,
            low=None,
            high=None,
            margin=None,
            passed=False,
            sentence=sentence,
            slices=slices,
        )
    worst = min(judged, key=lambda one: one.margin or 0.0)
    failing = sum(not one.holds for one in judged)
    count = f"{failing} of {len(judged)} judged slices fail" if failing else f"all {len(judged)} judged slices hold"
    return ObjectiveResult(
        objective=objective,
        value=worst.measured,
        low=worst.low,
        high=worst.high,
        margin=worst.margin,
        passed=not failing,
        sentence=f"{objective.metric} is worst where {objective.by} is {worst.value}: {worst.measured:.4g}"
        f"{_interval(worst.low, worst.high)} on {worst.rows:,} rows; promised is {_promise(objective)}; {count}.",
        worst=worst.value,
        slices=slices,
    )


def _judge_slice(objective: Objective, one: Slice) -> SliceJudgement:
    value = one.measured.estimate
    return SliceJudgement(
        value=one.value,
        rows=one.rows,
        measured=value,
        low=one.measured.low,
        high=one.measured.high,
        margin=None if value is None else objective.margin(value),
        holds=objective.holds(value) if one.judged and value is not None else None,
        note=one.note,
    )


def _promise(objective: Objective) -> str:
    words = f"{objective.direction.replace('_', ' ')} {objective.bound:g}"
    return f"{words} for every {objective.by}" if objective.by else words


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" (95% interval {low:.4g} to {high:.4g})"
