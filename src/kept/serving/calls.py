"""Calls: one request on its way from its body to its answer, and the steps of that way."""

import logging
import time
from collections.abc import Callable
from typing import Any

from kept.core.errors import KeptError, Unavailable
from kept.core.ids import new_id, new_ids
from kept.serving.entries import Answered, Failed
from kept.serving.protocol.answers import as_scores, error_body
from kept.serving.protocol.values import Question
from kept.serving.runtime import Form, LoadedArm, LoadedRoute
from kept.serving.statuses import status_of

_LONGEST_REASON = 500
# What a call asks that could not be read.
_NOTHING = Question(values=[])

_logger = logging.getLogger("kept.serving")


class Call:
    """One request on its way: what came, what it was found to ask, and what is answered."""

    __slots__ = (
        "answer", "arm", "body", "deliver", "endpoint", "error", "form", "ids", "latency_us", "question", "received_at",
        "route", "scores", "started", "status", "version",
    )  # fmt: skip

    def __init__(
        self, endpoint: str, form: Form, body: bytes, deliver: "Callable[[Call], None]", version: str | None = None
    ) -> None:
        self.endpoint = endpoint
        self.form = form
        self.body = body
        self.deliver = deliver
        self.version = version
        self.started = time.perf_counter_ns()
        self.received_at = time.time_ns() // 1000
        self.route: LoadedRoute | None = None
        self.arm: LoadedArm | None = None
        self.question = _NOTHING
        self.scores: list[Any] = []
        self.ids: list[str] = []
        self.error: KeptError | None = None
        self.latency_us = 0
        self.status = 0
        self.answer = b""


def predict(arm: LoadedArm, calls: list[Call]) -> None:
    """One prediction for all calls; when that fails, one for each, so that a bad one spoils no other."""
    values: list[Any] = []
    for call in calls:
        values += call.question.values
    try:
        scores = as_scores(arm.model.predict(values))
        if len(scores) != len(values):
            raise Unavailable(
                f"the model gave {len(scores)} answers to {len(values)} rows", where=f"version {arm.arm.number}"
            )
    except Exception as error:  # noqa: BLE001 - a model may raise anything; the service answers and goes on
        if len(calls) > 1:
            for call in calls:
                predict(arm, [call])
            return
        what, where = f"the model raised {type(error).__name__}", f"version {arm.arm.number} of {arm.arm.model}"
        calls[0].error = error if isinstance(error, KeptError) else fault(what, where, error)
        return
    ids = new_ids(len(scores))
    start = 0
    for call in calls:
        end = start + len(call.question.values)
        call.scores, call.ids = scores[start:end], ids[start:end]
        start = end


def fault(what: str, where: str, error: Exception | None) -> KeptError:
    """An error that is our own or the model's; the service's own log says more."""
    _logger.error("%s: %s", where, what, exc_info=error)
    return KeptError(what, where=where, fix="See the service's own log")


def answered_by(key: str, calls: list[Call], answers: list[str] | None = None) -> Answered:
    """The log's entry for calls that one arm answered."""
    entry = Answered(
        arm=key, ids=[], answers=answers, event_times=[], received_at=[], keys=[], features=[], scores=[], latencies_us=[]
    )  # fmt: skip
    for call in calls:
        question = call.question
        rows = len(call.ids)
        received = [call.received_at] * rows
        entry.ids += call.ids
        entry.event_times += question.event_times or received
        entry.received_at += received
        entry.keys += question.keys or [None] * rows
        entry.features += question.values
        entry.scores += call.scores
        entry.latencies_us += [call.latency_us] * rows
    return entry


def failure_of(call: Call) -> Failed:
    """The log's entry for a call that got no prediction."""
    note = call.arm.note if call.arm is not None else None
    return Failed(
        id=new_id(),
        endpoint=call.endpoint,
        version_id=note.version_id if note else "",
        role=note.role if note else "",
        received_at=call.received_at,
        status=status_of(call.error),
        reason=str(call.error)[:_LONGEST_REASON],
        rows=len(call.question.values),
        latency_us=call.latency_us,
    )


def answer(call: Call) -> None:
    """Puts an answered call's status and bytes together."""
    if call.error is not None or call.arm is None:
        error = call.error or fault("nothing was asked", "service", None)
        call.status, call.answer, call.ids = status_of(error), error_body(error), []
        return
    call.status = 200
    if call.form == "rows":
        call.answer = call.arm.answerer.rows(call.ids, call.scores)
    else:
        call.answer = call.arm.answerer.tensors(call.question, call.ids, call.scores)
