"""Fallbacks: what is answered in place of a version that fails, is late, or is asked about what it never learned.

The version beside it answers, or declared rules, or a declared constant. Such an answer is marked, and the log holds both: what the version
did not do, as a failure with its reason, and the answer, in the role `fallback` (another version's), `rule` or `constant`
(no version's).
A request with several rows falls back as a whole.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from kept.core.errors import KeptError, Unavailable
from kept.core.ids import new_ids
from kept.deployment.routing import Fallback
from kept.packaging.signature import Signature
from kept.serving.calls import TOO_MANY, Call, failure_of
from kept.serving.counters import Counters
from kept.serving.entries import Failed
from kept.serving.rules import Rules, constant_score
from kept.serving.runtime import LoadedArm, LoadedRoute, same_inputs

# A version that was late is asked again after this many times what it took, and after a second at the least: a prediction
# that runs in the service cannot be broken off, and holds up all others.
_REST = 10
_LEAST_REST_NS = 1_000_000_000
_LATE, _OUTSIDE = 504, 422

_logger = logging.getLogger("kept.serving")
_encode = msgspec.json.Encoder().encode


Asked = dict[LoadedArm, list[Call]]


class Fallbacks:
    """Says who answers for the versions of one service, where their routes say how, and counts why.

    A call that goes another way has a detour from then on. It ends with an answer, or with what went wrong at first.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._ways: WeakKeyDictionary[LoadedArm, _Way] = WeakKeyDictionary()

    def before(self, arm: LoadedArm, calls: Sequence[Call]) -> Asked:
        """Who is to be asked for calls of one arm: itself, or others. A call that nobody is asked for has its answer."""
        asked: Asked = {}
        way = self._way(arm, calls[0])
        for call in calls:
            reason, status = way.beforehand(call) if way is not None else ("", 0)
            if way is not None and reason:
                call.detour = Detour(self._counters, way, call, reason, status)
                _go_on(call, asked)
            else:
                asked.setdefault(arm, []).append(call)
        return asked

    def after(self, arm: LoadedArm, calls: Sequence[Call], took: int) -> Asked:
        """Who is to be asked next for calls that an arm has answered, or not, in so many nanoseconds."""
        asked: Asked = {}
        for call in calls:
            detour = call.detour
            if isinstance(detour, Detour):
                if detour.over:
                    continue
                if call.error is None:
                    detour.end(call)
                else:
                    _go_on(call, asked)
                continue
            way = self._way(arm, call)
            if way is None:
                continue
            way.took(took)
            if call.error is not None and way.covers_errors and call.status != TOO_MANY:
                call.detour = Detour(self._counters, way, call, f"error: {call.error}", call.status)
                _go_on(call, asked)
        return asked

    def late(self, arm: LoadedArm, call: Call) -> Asked:
        """Who is to be asked for a call that its arm, asked in a process of its own, has not answered in time."""
        asked: Asked = {}
        waited = (time.perf_counter_ns() - call.started) / 1e6
        if call.detour is None and (way := self._way(arm, call)) is not None:
            call.fail(
                Unavailable(f"it had waited {waited:.0f} ms", where=f"version {arm.arm.number} of {arm.arm.model}")
            )
            call.detour = Detour(self._counters, way, call, f"timeout: it had waited {waited:.0f} ms", _LATE)
            _go_on(call, asked)
        return asked

    def late_at(self, arm: LoadedArm, call: Call) -> int:
        """When a call counts as late, `perf_counter_ns`; 0 for never."""
        way = None if call.detour is not None else self._way(arm, call)
        return 0 if way is None or not way.stand_ins or way.late_ns == math.inf else call.started + int(way.late_ns)

    def _way(self, arm: LoadedArm, call: Call) -> "_Way | None":
        rule, route = arm.arm.fallback, call.route
        if rule is None or route is None:
            return None
        way = self._ways.get(arm)
        if way is None:
            way = self._ways[arm] = _Way(route, arm, rule)
        return way


def _go_on(call: Call, asked: Asked) -> None:
    """Finds who is asked next on a call's detour, if anybody is."""
    assert isinstance(call.detour, Detour)  # noqa: S101 - it is on one
    arm = call.detour.next(call)
    if arm is not None:
        asked.setdefault(arm, []).append(call)


class Detour:
    """How a call finds another answer than its arm's."""

    def __init__(self, counters: Counters, way: "_Way", call: Call, reason: str, status: int) -> None:
        self._counters = counters
        self._number = str(way.number)
        self._role = ""
        self._ahead = iter(way.stand_ins)
        self._reason = reason
        self._inside = status == _OUTSIDE
        self._missed = msgspec.structs.replace(failure_of(call), reason=reason, status=status)
        self._arm, self._question = call.arm, call.question
        self._error, self._status = call.error, call.status
        self.over = False

    def next(self, call: Call) -> LoadedArm | None:
        """Who is asked now. None when the call is answered, or has what went wrong at first."""
        if call.error is not None and call.arm is not None and call.arm is not self._arm:
            _logger.warning("version %s could not stand in: %s", call.arm.arm.number, call.error)
        for stand_in in self._ahead:
            call.error, call.question = None, self._question
            self._role = stand_in.role
            if stand_in.declared is not None:
                scores = stand_in.declared(call.question.values)
                if scores is None:
                    continue
                call.arm, call.scores, call.ids = stand_in.arm, scores, new_ids(len(scores))
                self.end(call)
                return None
            if stand_in.takes(call, self._arm, inside=self._inside):
                call.arm = stand_in.arm
                return stand_in.arm
        self.over = True
        call.arm, call.question = self._arm, self._question
        call.error, call.status = self._error, self._status
        # Nobody else could: the arm itself is asked, if it was not.
        return call.arm if call.error is None else None

    def end(self, call: Call) -> None:
        """Another has answered the call."""
        self.over = True
        call.fallback = self._reason
        call.missed = msgspec.structs.replace(self._missed, id=call.ids[0])
        self._counters.count_fallback(call.endpoint, self._number, self._reason.partition(":")[0], self._role)


def misses(calls: Iterable[Call]) -> list[Failed]:
    """The log's entries for what the versions did not do that others answered for."""
    found = []
    for call in calls:
        if call.missed is not None:
            call.missed.latency_us = call.latency_us
            found.append(call.missed)
    return found


def mark(call: Call) -> None:
    """Puts into an answer why another gave it: `fallback` in the plain forms, a parameter of that name in the protocol's.

    An answer over gRPC is put together elsewhere.
    """
    if call.form == "message":
        return
    size = call.answer_json_size or len(call.answer)
    said = b'"fallback":' + _encode(call.fallback)
    more = b',"parameters":{%b}}' % said if call.form == "tensors" else b",%b}" % said
    call.answer = call.answer[: size - 1] + more + call.answer[size:]
    if call.answer_json_size:
        call.answer_json_size += len(more) - 1


class _StandIn:
    """What answers for another: a version, or what is declared, as a score for each row or None."""

    def __init__(
        self, arm: LoadedArm, role: str, declared: Callable[[Sequence[Sequence[Any]]], list[Any] | None] | None = None
    ) -> None:
        self.arm = arm
        self.role = role
        self.declared = declared
        self._ranges = Ranges(arm.model.signature)
        arm.note = msgspec.structs.replace(arm.note, key=f"{arm.note.key}/{role}", role=role)

    def takes(self, call: Call, before: LoadedArm | None, *, inside: bool) -> bool:
        """Whether it can be asked for a call; with `inside`, only for what lies within its own training."""
        try:
            if before is None or not same_inputs(before, self.arm):
                call.question = self.arm.model.read(call.form, call.body, call.request.json_size)
        except KeptError as trouble:
            _logger.warning("version %s could not stand in: %s", self.arm.arm.number, trouble)
            return False
        return not (inside and self._ranges.outside(call.question.values))


class _Way:
    """How one arm falls back, and how it has done."""

    def __init__(self, route: LoadedRoute, arm: LoadedArm, rule: Fallback) -> None:
        self._rule = rule
        self.number = arm.arm.number
        self._ranges = Ranges(arm.model.signature)
        self.covers_errors = "error" in rule.on
        self.late_ns = math.inf if rule.timeout_ms is None else rule.timeout_ms * 1e6
        self._took = 0
        self._ask_again = 0
        self.stand_ins: list[_StandIn] = []
        beside = route.champion if arm is not route.champion else route.standby
        if rule.previous and beside is not None:
            self.stand_ins.append(_StandIn(LoadedArm(route.route.endpoint, beside.arm, beside.model), "fallback"))
        signature, nobody = arm.model.signature, msgspec.structs.replace(arm.arm, version_id="", number=0)

        def declare(role: str, scores: Callable[[Sequence[Sequence[Any]]], list[Any] | None]) -> None:
            self.stand_ins.append(_StandIn(LoadedArm(route.route.endpoint, nobody, arm.model), role, scores))

        if rule.rules:
            declare("rule", Rules(signature, rule).scores)
        score = None if rule.constant is None else constant_score(signature, rule.constant)
        if score is not None:
            declare("constant", lambda rows: [score] * len(rows))

    def beforehand(self, call: Call) -> tuple[str, int]:
        """Why a call should not even be asked of the arm, and the status that is logged; empty where it should."""
        now = time.perf_counter_ns()
        if now - call.started > self.late_ns:
            return f"timeout: it had waited {(now - call.started) / 1e6:.0f} ms", _LATE
        if self._took > self.late_ns and now < self._ask_again:
            return f"timeout: the last prediction took {self._took / 1e6:.0f} ms", _LATE
        if "range" in self._rule.on and (found := self._ranges.outside(call.question.values)):
            return f"range: {found}", _OUTSIDE
        return "", 0

    def took(self, nanoseconds: int) -> None:
        """Notes what a prediction took."""
        self._took = nanoseconds
        self._ask_again = time.perf_counter_ns() + max(_REST * nanoseconds, _LEAST_REST_NS)


class Ranges:
    """What each input of a model was seen to be in training."""

    def __init__(self, signature: Signature) -> None:
        self._bounds = [
            (place, field.name, field.minimum, field.maximum)
            for place, field in enumerate(signature.inputs)
            if field.minimum is not None and field.maximum is not None
        ]
        self._known = [
            (place, field.name, frozenset(field.categories))
            for place, field in enumerate(signature.inputs)
            if field.categories
        ]

    def outside(self, rows: Sequence[Sequence[Any]]) -> str:
        """The first value beyond what training saw, as the part of a sentence; empty when there is none. Missing is inside."""
        for row in rows:
            for place, name, low, high in self._bounds:
                value = row[place]
                if value is not None and not low <= value <= high:
                    return f"{name} is {value!r}, and training saw {low:g} to {high:g}"
            for place, name, known in self._known:
                value = row[place]
                if value is not None and value not in known:
                    return f"{name} is {value!r}, which training did not see"
        return ""
