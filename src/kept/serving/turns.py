"""Micro-batching by turns of the event loop: what came in one turn for the same arm is one prediction call and one log frame.

No timer is involved, so a lone request waits for nothing. The frame is written before any answer of the turn goes out. When more
comes than can be answered, a turn takes what it can do in a few milliseconds, and what cannot be answered in time is refused
before it is read.

A call whose model runs in a process of its own leaves its turn there. When it comes back, it is logged and answered with those that
came back with it.
"""

import asyncio
import time
from collections.abc import Collection

from kept.core.errors import KeptError, Unavailable
from kept.core.spans import Traces
from kept.serving.calls import (
    OVERLOADED,
    Call,
    answer,
    check_deadline,
    predict,
)
from kept.serving.counters import Counters
from kept.serving.explaining.asking import Explaining
from kept.serving.explaining.writing import put_in
from kept.serving.fallbacks import Asked, Fallbacks, mark
from kept.serving.faults import raised, told
from kept.serving.lines import Lines
from kept.serving.log import Spool
from kept.serving.protocol.answers import error_body
from kept.serving.protocol.values import Question
from kept.serving.queues import Queues, Ticket
from kept.serving.router import Router
from kept.serving.runtime import LoadedArm
from kept.serving.shadows import Shadows
from kept.serving.stages import Watch
from kept.serving.tracing import RequestSpans
from kept.serving.turn_log import TurnLog, by_arm


class Turns:
    """Takes calls and delivers each exactly once; in the order they came within a caller's line, where models answer in this process.

    Whatever is raised on their way ends in an answer of 500 to those that it concerns, and in `counters`, which is what is counted.

    Args:
        router: finds who answers.
        spool: the prediction log.
        counters: what is counted.
        longest_wait: seconds that a call may have to wait for its turn.
        explaining: explains the answers that are to be.
        traces: who is told of requests.
    """

    def __init__(
        self,
        router: Router,
        spool: Spool,
        counters: Counters,
        *,
        longest_wait: float = 0.2,
        explaining: Explaining | None = None,
        traces: Traces | None = None,
    ) -> None:
        self._router = router
        self._log = TurnLog(spool, counters, router)
        self.counters = counters
        self._lines: Lines[Call] = Lines(longest_wait)
        self._due = False
        self._turns = 0
        # When the last turn ended, if it left calls behind.
        self._ended = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fallbacks = Fallbacks(counters)
        self._queues = Queues(longest_wait)
        self._batches = 0
        self._shadows = Shadows(spool, counters, self._queues)
        self._explaining = explaining or Explaining()
        self._spans = RequestSpans(traces) if traces is not None else None

    def admits(self, caller: str, size: int, timeout_us: int = 0) -> bool:
        """Whether a call of that size could be answered in time. Refusing what could not costs next to nothing."""
        return self._lines.admits(caller, size, timeout_us)

    @property
    def idle(self) -> bool:
        """Whether no call waits for its turn."""
        return not self._due

    def refuse(self, endpoint: str) -> bytes:
        """Counts a call that was not admitted; what is said to its sender with the status 429."""
        self.counters.of(endpoint if endpoint in self._router.routes else "", "", "").count(429, 0, 0)
        return _REFUSAL

    def ask(self, call: Call) -> None:
        """Puts a call into its line. Called from the event loop."""
        self._lines.add(call)
        if not self._due:
            self._due = True
            if self._loop is None:
                self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        began = time.perf_counter()
        calls, cost = self._lines.take()
        try:
            self._turn(calls, began)
        finally:
            # Whatever went wrong with these: others wait for a turn of theirs.
            self._go_on(began, cost)

    def _turn(self, calls: Collection[Call], began: float) -> None:
        traced = self._spans is not None and any(call.request.trace is not None for call in calls)
        watch = Watch() if traced or not self._turns % _SELDOM else None
        groups: Asked = {}
        for call in calls:
            self._read(call)
            if call.error is None and call.arm is not None:
                groups.setdefault(call.arm, []).append(call)
        asked = list(groups.items())
        plain = True
        if watch is not None:
            watch.mark()
        for arm, members in asked:
            try:
                if arm.model.pool is None and arm.arm.fallback is None:
                    predict(arm, members)
                else:
                    plain = False
                    self._ask(self._fallbacks.before(arm, members), int(began * 1e9))
            except Exception as error:  # noqa: BLE001 - those of other versions are asked and answered all the same
                self._break_off(members, error)
            if watch is not None:
                watch.mark()
        if not plain:
            calls = [call for call in calls if call.ticket is None]
            groups = by_arm(calls)
        self._answer(calls, groups, watch)
        if watch is not None:
            with told(self.counters, "telling"):
                self._tell(calls, asked, watch)

    def _break_off(self, calls: Collection[Call], error: Exception) -> None:
        """Fails those of some calls that no process of their model has, for what was raised in asking."""
        trouble = raised(self.counters, "asking", "service", error)
        for call in calls:
            if call.ticket is None and call.error is None:
                call.fail(trouble)

    def _ask(self, asked: Asked, began: int) -> None:
        """Asks arms, and those that stand in for them, until each call is settled or is with a process of its model."""
        ahead = list(asked.items())
        for arm, calls in ahead:
            if arm.model.pool is not None:
                self._queues.add(self, arm, calls, began)
                calls = [call for call in calls if call.ticket is None]  # noqa: PLW2901 - those that were not taken
                took = 0
            else:
                start = time.perf_counter_ns()
                predict(arm, calls)
                took = time.perf_counter_ns() - start
            ahead += self._fallbacks.after(arm, calls, took).items()

    def _answer(self, calls: Collection[Call], groups: Asked, watch: Watch | None) -> None:
        """Logs calls, then answers them; those that are to be explained when they are."""
        if any(map(_waits_for_explanation, calls)):
            calls = self._hand_over(calls)
            groups = by_arm(calls)
        self._log.write(calls, groups)
        if watch is not None:
            watch.mark()
        for call in calls:
            self._finish(call)
        try:
            self._count(calls)
            if watch is not None:
                watch.mark()
            self._copy(calls)
        except Exception as error:  # noqa: BLE001 - they are answered
            raised(self.counters, "counting", "service", error)

    # --- calls with processes of their models ------------------------------------------------------------------

    def returned(self, back: list[tuple[Ticket, Call]]) -> None:
        """Takes calls that come back with their answers, or with why they have none."""
        now = time.perf_counter_ns()
        for ticket, call in back:
            if ticket.arm.arm.fallback is None and call.detour is None:
                continue
            try:
                self._ask(self._fallbacks.after(ticket.arm, [call], now - ticket.handed), now)
            except Exception as error:  # noqa: BLE001 - those that came back with it are answered all the same
                self._break_off([call], error)
        calls = [call for _, call in back if call.ticket is None]
        timed = not self._batches % _SELDOM
        self._batches += 1
        watch = self._answer_back(calls, timed=timed)
        if watch is not None and timed:
            with told(self.counters, "telling"):
                for ticket, call in back:
                    counters = self.counters.of(call.endpoint, str(ticket.arm.note.number), ticket.arm.note.role)
                    spent = (ticket.handed - ticket.began, now - ticket.handed, *watch.last())
                    counters.stages.add(spent, [ticket.began - call.started])

    def expired(self, ticket: Ticket, call: Call) -> None:
        """Takes a call that a process of its model has not answered in time."""
        try:
            if call.timeout_us:
                check_deadline(call, "before it was answered")
            self._ask(self._fallbacks.late(ticket.arm, call), time.perf_counter_ns())
        except Unavailable as error:
            call.fail(error)
        except Exception as error:  # noqa: BLE001 - nobody else knows of it any more
            self._break_off([call], error)
        if call.ticket is None:
            self._answer_back([call], timed=False)

    def _answer_back(self, calls: Collection[Call], *, timed: bool) -> Watch | None:
        """Logs and answers calls that have left their turn; how long that took, where it is timed or somebody is told of it."""
        watch = Watch() if timed or self._spans is not None else None
        if watch is not None:
            watch.mark()
        self._answer(calls, by_arm(calls), watch)
        if watch is not None and self._spans is not None:
            with told(self.counters, "telling"):
                self._spans.turn([call for call in calls if call.status], [], watch, time.perf_counter_ns())
        return watch

    def patience(self, arm: LoadedArm, call: Call) -> int:
        """Until when a call may be with a process, `perf_counter_ns`; 0 for ever."""
        if not call.timeout_us and arm.arm.fallback is None:
            return 0
        ends = [self._fallbacks.late_at(arm, call), call.started + call.timeout_us * 1000 if call.timeout_us else 0]
        return min((end for end in ends if end), default=0)

    # --- calls with who explains -------------------------------------------------------------------------------

    def _hand_over(self, calls: Collection[Call]) -> list[Call]:
        """Has calls explained that are to be; the others, and those that cannot be."""
        now = time.perf_counter_ns()
        others = []
        for call in calls:
            if _waits_for_explanation(call):
                # What explains takes is no part of how fast a version answers.
                call.latency_us = (now - call.started) // 1000
                try:
                    self._explaining.take(call, self._explained)
                except Exception as error:  # noqa: BLE001 - the others are answered all the same
                    call.fail(raised(self.counters, "explaining", f"model {call.endpoint!r}", error))
                if call.error is None:
                    continue
                _note_unexplained(call)
            others.append(call)
        return others

    def _explained(self, call: Call) -> None:
        """Takes a call that comes back with what explains its answer, or with why nothing does."""
        if call.error is not None:
            _note_unexplained(call)
        self._answer_back([call], timed=False)

    # --- the end of a call's way -------------------------------------------------------------------------------

    def _finish(self, call: Call) -> None:
        """Puts a call's answer together and delivers it."""
        try:
            answer(call)
            if call.fallback and call.status == 200:
                mark(call)
            if call.explanation is not None:
                put_in(call, call.explanation)
            call.deliver(call)
        except Exception as error:  # noqa: BLE001 - one answer that cannot be written must not keep back the others
            self._say_fault(call, error)

    def _say_fault(self, call: Call, error: Exception) -> None:
        """Delivers what was raised in answering a call. One that was delivered before stays as it was."""
        call.fail(raised(self.counters, "answering", f"model {call.endpoint!r}", error))
        try:
            answer(call)
            call.deliver(call)
        except Exception as again:  # noqa: BLE001 - the others are answered all the same
            raised(self.counters, "answering", f"model {call.endpoint!r}", again)

    def _copy(self, calls: Collection[Call]) -> None:
        """Gives the shadows what was answered."""
        for call in calls:
            if call.route is not None and call.route.shadows and call.status == 200:
                self._shadows.copy(call, call.route.shadows)

    def _go_on(self, began: float, cost: int) -> None:
        self._due = bool(self._lines)
        if self._due and self._loop is not None:
            self._loop.call_soon(self._run)
        self._turns += 1
        # While there is time for all that comes, what work takes is seldom looked at.
        if self._due or self._ended or cost > _MUCH or not self._turns % _SELDOM:
            now = time.perf_counter()
            self._lines.learn(cost, now - began, began - self._ended if self._ended else 0.0)
            self._ended = now if self._due else 0.0

    def _read(self, call: Call) -> None:
        """Finds who answers a call, and what it asks; not when nobody waits for it any more."""
        try:
            route = call.route = self._router.find(call.endpoint)
            if call.timeout_us:
                check_deadline(call, _BEFORE)
            request = call.request
            if request.version is None:
                call.arm, asked = route.read(call.form, call.body, request.json_size)
            else:
                call.arm = route.version(request.version)
                asked = call.arm.model.read(call.form, call.body, request.json_size)
            if isinstance(asked, Question):
                call.question = asked
                if asked.timeout_us:
                    call.timeout_us = min(asked.timeout_us, call.timeout_us or asked.timeout_us)
                    check_deadline(call, _BEFORE)
                if _explains(call):
                    self._explaining.admit(call)
            else:
                call.fail(asked)
        except KeptError as error:
            call.fail(error)
        except Exception as error:  # noqa: BLE001 - one body must not end the connection without an answer
            call.fail(raised(self.counters, "reading", f"model {call.endpoint!r}", error))

    def _count(self, calls: Collection[Call]) -> None:
        now = time.perf_counter_ns()
        for call in calls:
            arm = call.arm
            if arm is not None:
                counters = self.counters.of(call.endpoint, str(arm.note.number), arm.note.role)
            else:
                counters = self.counters.of(call.endpoint if self._log.is_ours(call) else "", "", "")
            counters.count(call.status, len(call.ids), (now - call.started) // 1000)

    def _tell(self, calls: Collection[Call], asked: list[tuple[LoadedArm, list[Call]]], watch: Watch) -> None:
        """Tells whoever wants to know how long a turn's requests and their stages took."""
        if not self._turns % _SELDOM:
            self._time(asked, watch)
        if self._spans is not None:
            # What is being explained is told of when it is answered.
            self._spans.turn([call for call in calls if call.status], asked, watch, time.perf_counter_ns())

    def _time(self, asked: Collection[tuple[LoadedArm, list[Call]]], watch: Watch) -> None:
        """Notes how long the stages of a turn took, for the arms that were asked, whoever answered in the end."""
        for place, (arm, members) in enumerate(asked):
            if arm.model.pool is not None:
                # Timed when they come back.
                continue
            counters = self.counters.of(members[0].endpoint, str(arm.note.number), arm.note.role)
            counters.stages.add(watch.stages(place), [watch.began - call.started for call in members])


# One turn in so many is timed: what all take is told by them, and the others are spared.
_SELDOM = 16
# The cost of a few dozen small requests.
_MUCH = 50_000
_NOT_NOW = 503
_REFUSAL = error_body(OVERLOADED)
_BEFORE = "before its turn came, so it was not run"


def _explains(call: Call) -> bool:
    return call.request.explain or call.question.explain


def _note_unexplained(call: Call) -> None:
    """Has a call that was not explained count as what it took in all, and against its version only if that is to blame."""
    call.latency_us = 0
    if call.status == _NOT_NOW:
        call.arm = None


def _waits_for_explanation(call: Call) -> bool:
    return _explains(call) and call.explanation is None and call.error is None and call.arm is not None
