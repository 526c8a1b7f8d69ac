"""Shadows: versions that get a copy of the traffic. What they answer is logged, never returned, and holds up no answer."""

import asyncio
import time

from kept.core.errors import KeptError, Unavailable
from kept.serving.calls import Call, answered_by, failure_of, predict
from kept.serving.counters import Counters
from kept.serving.log import Spool
from kept.serving.runtime import LoadedArm, same_inputs

# Rows that may wait for the shadows; beyond them copies are dropped and counted.
_MOST_WAITING = 10_000


class Shadows:
    """Asks shadows about calls that were answered, in later turns of the event loop."""

    def __init__(self, spool: Spool, counters: Counters) -> None:
        self._spool = spool
        self._counters = counters
        self._waiting = 0

    def copy(self, call: Call, shadows: tuple[LoadedArm, ...]) -> None:
        """Takes a call over, if there is room."""
        rows = len(call.question.values)
        if self._waiting + rows > _MOST_WAITING:
            self._counters.shadows_dropped += rows
            return
        self._waiting += rows
        asyncio.get_running_loop().call_soon(self._run, call, shadows, rows)

    def _run(self, call: Call, shadows: tuple[LoadedArm, ...], rows: int) -> None:
        self._waiting -= rows
        for shadow in shadows:
            self._ask(call, shadow, rows)

    def _ask(self, call: Call, shadow: LoadedArm, rows: int) -> None:
        copy = Call(call.request, call.body, call.size, _keep_quiet)
        copy.received_at, copy.arm = call.received_at, shadow
        try:
            alike = call.arm is not None and same_inputs(call.arm, shadow)
            copy.question = call.question if alike else shadow.model.read(call.form, call.body, call.request.json_size)
        except KeptError as error:
            copy.fail(error)
        else:
            predict(shadow, [copy])
        copy.latency_us = (time.perf_counter_ns() - copy.started) // 1000
        copy.status = copy.status or 200
        try:
            if copy.error is None:
                entry = answered_by(shadow.note.key, [copy], answers=call.ids)
                self._spool.write([(shadow.note, entry)])
            else:
                self._spool.write([], [failure_of(copy)])
        except Unavailable:
            self._counters.shadows_dropped += rows
        counters = self._counters.of(call.endpoint, str(shadow.arm.number), shadow.arm.role)
        counters.count(copy.status, rows, copy.latency_us)


def _keep_quiet(call: Call) -> None:
    """A shadow's answer goes nowhere."""
