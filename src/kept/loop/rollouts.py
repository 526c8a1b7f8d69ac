"""What a running canary did, step by step, from the tables of predictions, failed requests and labels."""

from datetime import datetime, timedelta

import polars as pl

from kept.data import labels as ledger
from kept.deployment.rollout import Rollout, RolloutStep, Rule
from kept.deployment.rule import ArmStatistics, StepStatistics
from kept.governance.workspace import Workspace
from kept.measures.sequential import Arm
from kept.monitoring.labelled import outcomes_of
from kept.monitoring.outcomes import loss_between_0_and_1
from kept.monitoring.stream import Stream, latencies_of
from kept.monitoring.subject import Subject


def step_statistics(
    workspace: Workspace, stream: Stream, rollout: Rollout, champion: Subject, candidate: Subject, now: datetime
) -> tuple[StepStatistics, ...]:
    """Both arms in each step so far; the last one is the present.

    A request belongs to the step in which it came (the routing changes by the clock), the lengths of steps are event
    time. A label counts in the step of its prediction, whenever it came.
    """
    steps = [one for one in rollout.evidence if one.state == "canary"]
    begins = [one.at for one in steps]
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
        found.append(
            StepStatistics(
                champion=_arm(rows, failed, champion, scale, rollout.rule),
                candidate=_arm(rows, failed, candidate, scale, rollout.rule),
                elapsed=time_in_step(rows, step, now),
            )
        )
    return tuple(found)


def _arm(
    rows: pl.DataFrame, failures: pl.DataFrame, subject: Subject, scale: float | None, rule: Rule
) -> ArmStatistics:
    own = rows.filter(pl.col("version_id") == subject.version_id)
    errors = failures.filter(pl.col("version_id") == subject.version_id).height
    latencies = latencies_of(own)
    slow = 0 if rule.latency_p99_ms is None else int((latencies > rule.latency_p99_ms).sum())
    outcomes = outcomes_of(own, subject)
    judged = outcomes.rows and (subject.task != "regression" or scale is not None)
    return ArmStatistics(
        rows=own.height + errors,
        errors=errors,
        latency_p50_ms=latencies.quantile(0.5),
        latency_p99_ms=latencies.quantile(0.99),
        slow=slow,
        losses=Arm.of(loss_between_0_and_1(subject.task, outcomes, scale)) if judged else Arm(),
    )


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
