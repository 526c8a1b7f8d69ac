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

from kept.core.errors import KeptError
from kept.core.ids import new_ids
from kept.deployment.routing import Fallback
from kept.packaging.signature import Signature
from kept.serving.calls import Call, failure_of, predict
from kept.serving.counters import Counters
from kept.serving.entries import Failed
from kept.serving.rules import Rules, constant_score
from kept.serving.runtime import LoadedArm, LoadedRoute, same_inputs

# A version that was late is asked again after this many times what it took, and after a second at the least: a prediction
# that runs cannot be broken off, and holds up all others.
_REST = 10
_LEAST_REST_NS = 1_000_000_000
_LATE, _OUTSIDE = 504, 422

_logger = logging.getLogger("kept.serving")
_encode = msgspec.json.Encoder().encode


class Fallbacks:
    """Answers for the versions of one service, where their routes say how, and counts why."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._ways: WeakKeyDictionary[LoadedArm, _Way] = WeakKeyDictionary()

    def predict(self, arm: LoadedArm, calls: list[Call], groups: dict[LoadedArm, list[Call]]) -> None:
        """Predictions for calls of one arm. A call that another answers moves to that one's group, and tells why in `fallback`."""
        rule, route = arm.arm.fallback, calls[0].route
        if rule is None or route is None:
            predict(arm, calls)
            return
        way = self._ways.get(arm)
        if way is None:
            way = self._ways[arm] = _Way(route, arm, rule)
        own = []
        for call in calls:
            reason, status = way.beforehand(call)
            if not (reason and self._stand_in(way, call, reason, status, groups)):
                own.append(call)
        if own:
            began = time.perf_counter_ns()
            predict(arm, own)
            way.took(time.perf_counter_ns() - began)
        if "error" in rule.on:
            for call in [one for one in own if one.error is not None]:
                self._stand_in(way, call, f"error: {call.error}", call.status, groups)
        groups[arm] = [call for call in calls if call.arm is arm]

    def _stand_in(self, way: "_Way", call: Call, reason: str, status: int, groups: dict[LoadedArm, list[Call]]) -> bool:
        """Whether something else answered the call."""
        missed = msgspec.structs.replace(failure_of(call), reason=reason, status=status)
        for stand_in in way.stand_ins:
            if stand_in.answer(call, inside=status == _OUTSIDE):
                call.fallback = reason
                call.missed = msgspec.structs.replace(missed, id=call.ids[0])
                occasion = reason.partition(":")[0]
                self._counters.count_fallback(call.endpoint, str(way.number), occasion, stand_in.role)
                groups.setdefault(stand_in.arm, []).append(call)
                return True
        return False


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
        self._declared = declared
        self._ranges = Ranges(arm.model.signature)
        arm.note = msgspec.structs.replace(arm.note, key=f"{arm.note.key}/{role}", role=role)

    def answer(self, call: Call, *, inside: bool) -> bool:
        """Answers a call, if it can; with `inside`, only what lies within its own training."""
        before, error, status, question = call.arm, call.error, call.status, call.question
        if self._declared is not None:
            scores = self._declared(question.values)
            if scores is None:
                return False
            call.error = None
            call.arm, call.scores, call.ids = self.arm, scores, new_ids(len(scores))
            return True
        call.error = None
        try:
            if before is None or not same_inputs(before, self.arm):
                call.question = self.arm.model.read(call.form, call.body, call.request.json_size)
            if not (inside and self._ranges.outside(call.question.values)):
                predict(self.arm, [call])
                if call.error is None:
                    call.arm = self.arm
                    return True
        except KeptError as trouble:
            _logger.warning("version %s could not stand in: %s", self.arm.arm.number, trouble)
        call.error, call.status, call.question = error, status, question
        return False


class _Way:
    """How one arm falls back, and how it has done."""

    def __init__(self, route: LoadedRoute, arm: LoadedArm, rule: Fallback) -> None:
        self._rule = rule
        self.number = arm.arm.number
        self._ranges = Ranges(arm.model.signature)
        self._late_ns = math.inf if rule.timeout_ms is None else rule.timeout_ms * 1e6
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
        if now - call.started > self._late_ns:
            return f"timeout: it had waited {(now - call.started) / 1e6:.0f} ms", _LATE
        if self._took > self._late_ns and now < self._ask_again:
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
