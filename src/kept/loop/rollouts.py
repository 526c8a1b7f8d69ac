"""Statistics of a rollout, step by step, from the tables of predictions, failed requests and labels."""

from datetime import datetime, timedelta
from itertools import accumulate
from math import sqrt

import msgspec
import numpy as np
import polars as pl

from kept.data import labels as ledger
from kept.deployment.records import rollouts_of
from kept.deployment.rollout import Rollout, RolloutStep, Rule
from kept.deployment.routing import Role
from kept.deployment.rule import LEAST_LATENCIES, slowest_median
from kept.deployment.statistics import ArmStatistics, PairStatistics, StepStatistics
from kept.governance.workspace import Workspace
from kept.measures.arrays import Floats
from kept.measures.losses import row_loss
from kept.measures.sequential import Arm
from kept.monitoring.labelled import outcomes_of
from kept.monitoring.outcomes import Outcomes, loss_between_0_and_1
from kept.monitoring.stream import Stream, asked, latencies_of
from kept.monitoring.subject import Subject
from kept.plan.specs import Task
from kept.plan.windows import Windows
from kept.training.reference import window_numbers

# Numbers that are apart by no more than this share of the larger one are taken for the same answer.
_SAME_NUMBER = 0.05
_MOST_ROLLOUTS = 1_000
_ROLES: dict[str, Role] = {"shadow": "shadow", "canary": "canary", "ab": "challenger"}


def step_statistics(
    workspace: Workspace, stream: Stream, rollout: Rollout, champion: Subject, candidate: Subject, now: datetime
) -> tuple[StepStatistics, ...]:
    """Both arms in each step so far; the last one is the present.

    A request belongs to the step in which it came (the routing changes by the clock), the lengths of steps are event
    time. A label counts in the step of its prediction, whenever it came.
    """
    steps = [one for one in rollout.evidence if one.state == rollout.phase]
    begins = _begins(workspace, stream, rollout, steps)
    if rollout.phase == "shadow":
        step = msgspec.structs.replace(steps[-1], at=begins[-1])
        return (_of_shadow(workspace, stream, rollout.rule, step, champion, candidate, now),)
    answers = stream.answers_since(begins[0])
    labelled = ledger.join(workspace, answers.lazy(), stream.endpoint).collect()
    failures = stream.failures_between(begins[0], max(stream.now, begins[0]))
    found = []
    for place, (step, begin) in enumerate(zip(steps, begins, strict=True)):
        inside = pl.col("received_at") >= begin
        if place + 1 < len(begins):
            inside &= pl.col("received_at") < begins[place + 1]
        rows, failed = labelled.filter(inside), failures.filter(inside)
        # The scale of a regression's loss must be one for both arms.
        scale = champion.loss.scale if champion.loss else None
        allowed = _slowest(rollout.rule, rows, champion)
        found.append(
            StepStatistics(
                champion=_arm(rows, failed, champion, scale, rollout.rule),
                candidate=_arm(rows, failed, candidate, scale, rollout.rule, allowed),
                elapsed=time_in_step(rows, step, now),
            )
        )
    return tuple(found)


def _begins(workspace: Workspace, stream: Stream, rollout: Rollout, steps: list[RolloutStep]) -> list[datetime]:
    """When each step began by the clock that requests are stamped with.

    That is the time at which the step was taken, unless the clock was ahead then, which shows when that time has not come yet, or
    when a later step was taken before it. The trial begins then with the first request to the version in its present role; and
    a later step cannot be told from its neighbour: the two are looked at as one.
    """
    begins = [one.at for one in steps]
    if begins[0] > min([stream.now, *begins[1:]]):
        first = stream.first_on_trial(rollout.candidate, _ROLES[steps[0].state], _last_trial(workspace, rollout))
        begins[0] = min(first or begins[0], begins[0])
    if begins[-1] > stream.now:
        past = max((one for one in begins if one <= stream.now), default=stream.now)
        begins = [min(one, past) for one in begins]
    return list(accumulate(reversed(begins), min))[::-1]


def _last_trial(workspace: Workspace, rollout: Rollout) -> datetime | None:
    """When an earlier rollout of the same version ended; None where there was none."""
    with workspace.database.reading() as connection:
        known = rollouts_of(connection, rollout.endpoint, limit=_MOST_ROLLOUTS)
    ended = [one.updated_at for one in known if one.candidate == rollout.candidate and one.id != rollout.id]
    return max(ended, default=None)


def _arm(
    rows: pl.DataFrame,
    failures: pl.DataFrame,
    subject: Subject,
    scale: float | None,
    rule: Rule,
    allowed: float | None = None,
) -> ArmStatistics:
    own = rows.filter(pl.col("version_id") == subject.version_id)
    errors = failures.filter(pl.col("version_id") == subject.version_id).height
    latencies = latencies_of(own)
    slow = 0 if rule.latency_p99_ms is None else int((latencies > rule.latency_p99_ms).sum())
    outcomes = outcomes_of(own, subject)
    judged = outcomes.rows and (subject.task != "regression" or scale is not None)
    return ArmStatistics(
        rows=asked(own) + errors,
        errors=errors,
        timed=own.height,
        latency_p50_ms=latencies.quantile(0.5),
        latency_p99_ms=latencies.quantile(0.99),
        slow=slow,
        slower=0 if allowed is None else int((latencies > allowed).sum()),
        losses=Arm.of(outcomes.by_label(_losses(rule, subject, outcomes, scale))) if judged else Arm(),
    )


def _slowest(rule: Rule, rows: pl.DataFrame, champion: Subject) -> float | None:
    """What the candidate's median latency may be, in milliseconds, where the champion's is known well enough.

    The champion's median is itself known from a sample: it is taken at the upper end of an interval of three standard
    errors of its rank.
    """
    latencies = latencies_of(rows.filter(pl.col("version_id") == champion.version_id))
    if latencies.len() < LEAST_LATENCIES:
        return None
    median = latencies.quantile(0.5 + 1.5 / sqrt(latencies.len()))
    return None if median is None else slowest_median(rule, median)


def _losses(rule: Rule, subject: Subject, outcomes: Outcomes, scale: float | None) -> Floats:
    """In [0, 1]: what the project's first objective on labels is about, the class or its probability; or the number."""
    if rule.judged_by == "class" and subject.task != "regression":
        return row_loss("zero_one", outcomes.labels, outcomes.scores)
    return loss_between_0_and_1(subject.task, outcomes, scale)


def _of_shadow(
    workspace: Workspace,
    stream: Stream,
    rule: Rule,
    step: RolloutStep,
    champion: Subject,
    candidate: Subject,
    now: datetime,
) -> StepStatistics:
    """The champion's answers since the shadow began, the shadow's, and those to the same rows side by side."""
    answers, copies = stream.answers_since(step.at), stream.copies_since(step.at, candidate.version_id)
    failures = stream.failures_between(step.at, max(stream.now, step.at))
    pairs = (
        ledger.join(
            workspace, stream.pairs_since(step.at, champion.version_id, candidate.version_id).lazy(), stream.endpoint
        ).collect()
        if copies.height
        else pl.DataFrame()
    )
    scale = champion.loss.scale if champion.loss else None
    allowed = _slowest(rule, answers, champion)
    unlabelled = {"label": pl.lit(None, pl.String), "label_sequence": pl.lit(None, pl.Int64)}
    return StepStatistics(
        champion=_arm(answers.with_columns(**unlabelled), failures, champion, scale, rule),
        candidate=_arm(copies.with_columns(**unlabelled), failures, candidate, scale, rule, allowed),
        elapsed=time_in_step(answers, step, now),
        pairs=PairStatistics(
            rows=pairs.height,
            disagreements=int(disagreeing(pairs, champion.task).sum()) if pairs.height else 0,
            gains=Arm.of(gains(pairs, champion, candidate, rule)) if pairs.height else Arm(),
            windows=_windows(pairs, champion, candidate, rule),
        ),
    )


def disagreeing(pairs: pl.DataFrame, task: Task) -> pl.Series:
    """Whether each row was answered otherwise: with another class; or with a number more than 5% of the larger one apart."""
    if task != "regression":
        return pairs.select(apart=pl.col("prediction").ne_missing(pl.col("other_prediction"))).get_column("apart")
    one, other = pl.col("score"), pl.col("other_score")
    larger = pl.max_horizontal(one.abs(), other.abs())
    return pairs.select(apart=((one - other).abs() > _SAME_NUMBER * larger).fill_null(value=True)).get_column("apart")


def gains(pairs: pl.DataFrame, champion: Subject, candidate: Subject, rule: Rule) -> Floats:
    """The loss of the champion minus that of its shadow for each label, in [-1, 1]; none where they cannot be compared."""
    scale = champion.loss.scale if champion.loss else None
    comparable = champion.task == candidate.task and champion.classes == candidate.classes
    if not comparable or (champion.task == "regression" and scale is None):
        return np.zeros(0)
    labelled = pairs.filter(pl.col("label").is_not_null())
    if labelled.is_empty():
        return np.zeros(0)
    others = labelled.with_columns(score=pl.col("other_score"), scores=pl.col("other_scores"))
    own, theirs = outcomes_of(labelled, champion), outcomes_of(others, candidate)
    if own.rows != theirs.rows:
        # One of the two answered no number somewhere: the rest cannot be told apart by place.
        return np.zeros(0)
    return own.by_label(_losses(rule, champion, own, scale) - _losses(rule, candidate, theirs, scale))


def gains_by_window(
    pairs: pl.DataFrame, champion: Subject, candidate: Subject, rule: Rule, windows: Windows
) -> list[Floats]:
    """The same of each monitoring window in which there are rows, in the order of the rows."""
    numbers = pl.Series(window_numbers(pairs["event_time"], windows))
    parts = pairs.with_columns(_window=numbers).partition_by("_window", maintain_order=True)
    return [gains(part, champion, candidate, rule) for part in parts]


def _windows(pairs: pl.DataFrame, champion: Subject, candidate: Subject, rule: Rule) -> tuple[Arm, ...]:
    if rule.windows is None or pairs.is_empty():
        return ()
    each = gains_by_window(pairs, champion, candidate, rule, rule.windows)
    return tuple(Arm.of(one) for one in each if one.size)


def time_in_step(answers: pl.DataFrame, step: RolloutStep, now: datetime) -> timedelta:
    """Event time since a step began.

    Args:
        answers: those of the step, by the time their requests came.
        step: when it began.
        now: the newest event time.

    Where its event time was not told, requests are about the present, and it began at its processing time; but when even
    the newest event lies before that, old events are being replayed, and it began with the first of them. The oldest
    event is no measure: one straggler would let the step time out.
    """
    begin = step.event_time
    if begin is None:
        begin = step.at if now >= step.at or answers.is_empty() else answers["event_time"][0]
    return max(now - begin, timedelta(0))
