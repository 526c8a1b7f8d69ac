"""Answering by turns of the event loop: what came in one turn for the same arm is one prediction call and one log frame.

No timer is involved, so a lone request waits for nothing. The frame is written before any answer of the turn goes out.
"""

import asyncio
import time

from kept.core.errors import KeptError, Unavailable
from kept.serving.calls import Call, answer, answered_by, failure_of, fault, predict
from kept.serving.counters import Counters
from kept.serving.log import Spool
from kept.serving.protocol.values import Question
from kept.serving.router import Router
from kept.serving.runtime import LoadedArm
from kept.serving.shadows import Shadows


class Turns:
    """Takes calls and delivers each exactly once, in the order they came within a turn."""

    def __init__(self, router: Router, spool: Spool, counters: Counters) -> None:
        self._router = router
        self._spool = spool
        self._counters = counters
        self._calls: list[Call] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shadows = Shadows(spool, counters)

    def ask(self, call: Call) -> None:
        """Reads a call and puts it into this turn. Called from the event loop."""
        try:
            route = call.route = self._router.find(call.endpoint)
            if call.version is None:
                call.arm, asked = route.read(call.form, call.body)
            else:
                call.arm = route.version(call.version)
                asked = call.arm.model.read(call.form, call.body)
            if isinstance(asked, Question):
                call.question = asked
            else:
                call.error = asked
        except KeptError as error:
            call.error = error
        except Exception as error:  # noqa: BLE001 - one body must not end the connection without an answer
            call.error = fault(f"reading raised {type(error).__name__}", f"model {call.endpoint!r}", error)
        self._calls.append(call)
        if len(self._calls) == 1:
            if self._loop is None:
                self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        calls, self._calls = self._calls, []
        groups: dict[LoadedArm, list[Call]] = {}
        for call in calls:
            if call.error is None and call.arm is not None:
                groups.setdefault(call.arm, []).append(call)
        for arm, members in groups.items():
            predict(arm, members)
        self._log(calls, groups)
        for call in calls:
            _finish(call)
        self._count(calls)
        for call in calls:
            if call.route is not None and call.route.shadows and call.status == 200:
                self._shadows.copy(call, call.route.shadows)

    def _log(self, calls: list[Call], groups: dict[LoadedArm, list[Call]]) -> None:
        """Writes the turn's frame. When that fails, every prediction of the turn becomes an error."""
        now = time.perf_counter_ns()
        for call in calls:
            call.latency_us = (now - call.started) // 1000
        answered = []
        for arm, members in groups.items():
            good = [call for call in members if call.error is None]
            if good:
                answered.append((arm.note, answered_by(arm.note.key, good)))
        failed = [failure_of(call) for call in calls if call.error is not None and self._is_ours(call)]
        if not answered and not failed:
            return
        trouble: KeptError | None = None
        try:
            self._spool.write(answered, failed)
        except Unavailable as error:
            trouble = error
        except Exception as error:  # noqa: BLE001 - what cannot be logged is not answered, whatever the reason
            trouble = fault(f"logging raised {type(error).__name__}", "prediction log", error)
        if trouble is not None:
            for call in calls:
                if call.error is None:
                    call.error = trouble
                    self._counters.unlogged += 1

    def _is_ours(self, call: Call) -> bool:
        """Whether the endpoint exists. Other names are the sender's own: such requests are counted, not kept."""
        return call.route is not None or call.endpoint in self._router.troubles

    def _count(self, calls: list[Call]) -> None:
        now = time.perf_counter_ns()
        for call in calls:
            arm = call.arm
            if arm is not None:
                counters = self._counters.of(call.endpoint, str(arm.arm.number), arm.arm.role)
            else:
                counters = self._counters.of(call.endpoint if self._is_ours(call) else "", "", "")
            counters.count(call.status, len(call.ids), (now - call.started) // 1000)


def _finish(call: Call) -> None:
    try:
        answer(call)
    except Exception as error:  # noqa: BLE001 - one answer that cannot be written must not keep back the others
        call.error = fault(f"answering raised {type(error).__name__}", f"model {call.endpoint!r}", error)
        answer(call)
    call.deliver(call)
