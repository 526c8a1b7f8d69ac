"""A run that has ended as a trace: the run, and its steps within."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

import xxhash

from kept.core.spans import Span, Value
from kept.pipelines.run_step import RunStep, StepStatus
from kept.tracking.run import Run

_SECOND = 1_000_000_000


def spans_of(run: Run, steps: Sequence[RunStep]) -> Iterator[Span]:
    """The spans of a run. Its id is the trace's, so that whoever has the one finds the other."""
    if run.started_at is None or run.ended_at is None:
        return
    trace, root = UUID(run.id).int, _id(run.id)
    facts: dict[str, Value] = {"kept.run": run.id, "kept.project": run.project, "kept.status": run.status.value}
    yield Span(
        name=f"run {run.kind}",
        trace=trace,
        span=root,
        start=_nanoseconds(run.started_at),
        end=_nanoseconds(run.ended_at),
        facts=facts,
        error=(run.error or "") if run.status.value == "failed" else "",
    )
    for step in steps:
        if step.started_at is None or step.ended_at is None:
            continue
        yield Span(
            name=f"step {step.step}",
            trace=trace,
            span=_id(f"{run.id}/{step.step}"),
            parent=root,
            start=_nanoseconds(step.started_at),
            end=_nanoseconds(step.ended_at),
            facts={"kept.step": step.step, "kept.status": step.status.value, "kept.attempt": step.attempt},
            error=(step.message or "") if step.status is StepStatus.FAILED else "",
        )


def _id(text: str) -> int:
    found: int = xxhash.xxh3_64_intdigest(text.encode())
    return found or 1


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * _SECOND + moment.microsecond * 1000
