"""The life of one request: from its body to its answer, and the steps of that way."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from kept.core.errors import Invalid, KeptError, Unavailable
from kept.core.ids import new_id, new_ids
from kept.packaging.explaining.explanation import Explanation
from kept.serving.entries import Answered, Failed
from kept.serving.protocol.answers import as_scores, error_body
from kept.serving.protocol.number_rows import NumberRows, joined
from kept.serving.protocol.tensors import Sent
from kept.serving.protocol.values import Question
from kept.serving.request import Request
from kept.serving.runtime import LoadedArm, LoadedRoute
from kept.serving.statuses import status_of

OVERLOADED = Unavailable(
    "more is asked than can be answered in time", where="service", fix="Wait a second, and ask for less at once"
)
TOO_MANY = 429
_LONGEST_REASON = 500
# What a call asks that could not be read.
_NOTHING = Question(values=[])

_logger = logging.getLogger("kept.serving")


class Call:
    """One request on its way: what came, what it was found to ask, and what is answered."""

    __slots__ = (
        "answer", "answer_json_size", "arm", "body", "deliver", "detour", "endpoint", "error", "explanation", "fallback", "form",
        "ids", "latency_us", "missed", "question", "received_at", "request", "route", "scores", "size", "started", "status",
        "ticket", "timeout_us",
    )  # fmt: skip

    def __init__(self, request: Request, body: bytes | Sent, size: int, deliver: "Callable[[Call], None]") -> None:
        self.request = request
        self.endpoint = request.endpoint
        self.form = request.form
        self.timeout_us = request.timeout_us
        self.body = body
        self.size = size
        self.deliver = deliver
        self.started = time.perf_counter_ns()
        self.received_at = time.time_ns() // 1000
        self.route: LoadedRoute | None = None
        self.arm: LoadedArm | None = None
        self.question = _NOTHING
        self.scores: list[Any] = []
        self.ids: list[str] = []
        self.error: KeptError | None = None
        # While a process of its model has it, and while others than its arm are asked for it.
        self.ticket: object | None = None
        self.detour: object | None = None
        # Why another answered for the arm that was asked, and what the log says of that one.
        self.fallback = ""
        self.missed: Failed | None = None
        self.latency_us = 0
        self.status = 0
        self.answer = b""
        self.answer_json_size = 0
        self.explanation: Explanation | None = None

    def fail(self, error: KeptError, status: int = 0) -> None:
        """Notes why there is no prediction; the status is the error's own unless another is given."""
        self.error = error
        self.status = status or status_of(error)


def predict(arm: LoadedArm, calls: list[Call]) -> None:
    """One prediction for all calls; when that fails, one for each, so that a bad one spoils no other."""
    values = values_of(calls)
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
        fail(arm, calls[0], error)
        return
    ids = new_ids(len(scores))
    start = 0
    for call in calls:
        end = start + len(call.question.values)
        call.scores, call.ids = scores[start:end], ids[start:end]
        start = end


def values_of(calls: Sequence[Call]) -> Sequence[Any]:
    """The values of the rows of calls, one behind the other."""
    first = calls[0].question.values
    if isinstance(first, NumberRows) and (numbers := joined([call.question.values for call in calls])) is not None:
        return numbers
    rows: list[Any] = []
    for call in calls:
        rows += call.question.values
    return rows


def fail(arm: LoadedArm, call: Call, error: Exception) -> None:
    """Notes what its model raised for a call."""
    if isinstance(error, Invalid):
        # It fits the signature, and yet the model does not take it.
        call.fail(error, 422)
        return
    where = f"version {arm.arm.number} of {arm.arm.model}"
    if not isinstance(error, KeptError):
        error = fault(f"the model raised {type(error).__name__}", where, error)
    elif error.where is None:
        # Raised in a process of the model, which has logged more.
        error = fault(error.what, where, None)
    call.fail(error)


def fault(what: str, where: str, error: Exception | None) -> KeptError:
    """An error that is our own or the model's; the service's own log says more."""
    _logger.error("%s: %s", where, what, exc_info=error)
    return KeptError(what, where=where, fix="See the service's own log")


def answered_by(key: str, calls: list[Call], answers: list[str] | None = None) -> Answered:
    """The log's entry for calls that one arm answered."""
    entry = Answered(
        arm=key, ids=[], answers=answers, event_times=[], received_at=[], keys=[], features=values_of(calls), scores=[],
        latencies_us=[],
    )  # fmt: skip
    for call in calls:
        question = call.question
        rows = len(call.ids)
        received = [call.received_at] * rows
        entry.ids += call.ids
        entry.event_times += question.event_times or received
        entry.received_at += received
        entry.keys += question.keys or [None] * rows
        entry.scores += call.scores
        entry.latencies_us += [call.latency_us] * rows
    return entry


def check_deadline(call: Call, when: str) -> None:
    """Raises when nobody waits for a call any more."""
    waited = (time.perf_counter_ns() - call.started) // 1000
    if waited >= call.timeout_us:
        what = f"its deadline of {call.timeout_us} microseconds had passed {when}"
        raise Unavailable(what, where="timeout", fix="Allow more time, or try again later")


def failure_of(call: Call) -> Failed:
    """The log's entry for a call that got no prediction."""
    note = call.arm.note if call.arm is not None else None
    return Failed(
        id=new_id(),
        endpoint=call.endpoint,
        version_id=note.version_id if note else "",
        role=note.role if note else "",
        received_at=call.received_at,
        status=call.status,
        reason=str(call.error)[:_LONGEST_REASON],
        rows=len(call.question.values),
        latency_us=call.latency_us,
    )


def answer(call: Call) -> None:
    """Puts an answered call's status and bytes together."""
    if call.error is not None or call.arm is None:
        if call.error is None:
            call.fail(fault("nothing was asked", "service", None))
        call.ids = []
        call.answer = error_body(call.error) if call.error is not None else b""
        return
    call.status = 200
    answerer, form = call.arm.answerer, call.form
    if form == "rows":
        call.answer = answerer.rows(call.ids, call.scores)
    elif form == "tensors":
        if call.question.binary:
            call.answer, call.answer_json_size = answerer.binary(call.question, call.ids, call.scores)
        else:
            call.answer = answerer.tensors(call.question, call.ids, call.scores)
    elif form != "message":
        call.answer = answerer.invocations(call.ids, call.scores)
