"""Shadows: versions that get a copy of the traffic. What they answer is logged, never returned, and holds up no answer.

They are asked from a thread of their own that gives way to the answers (its niceness is 10), or in processes that do, so that a
slow one costs the champion nothing but the processor's spare time. What cannot be asked in time is dropped and counted.
"""

import asyncio
import contextlib
import os
import queue
import sys
import threading
import time

from kept.core.errors import KeptError, Unavailable
from kept.serving.calls import TOO_MANY, Call, answered_by, fail, failure_of, predict
from kept.serving.counters import Counters
from kept.serving.faults import told
from kept.serving.log import Spool
from kept.serving.queues import Queues, Ticket
from kept.serving.runtime import LoadedArm, same_inputs

# Rows that may wait for the shadows; beyond them copies are dropped and counted.
_MOST_WAITING = 10_000
_MOST_AT_ONCE = 32
_NICENESS = 10
# Seconds for which a thread that holds the interpreter lets another wait: 5 ms would be seen in the champion's answers.
_SWITCH = 0.0005

Waiting = tuple[Call, tuple[LoadedArm, ...]]
# An answered call, and the copy of it that a shadow was asked about.
Asked = tuple[Call, Call]


class Shadows:
    """Asks shadows about calls that were answered. Made and called from the event loop, which alone writes the log."""

    def __init__(self, spool: Spool, counters: Counters, queues: Queues) -> None:
        self._spool = spool
        self._counters = counters
        self._queues = queues
        # Copies that processes of their models have, and what they are copies of.
        self._with_processes: dict[Call, Call] = {}
        self._waiting = 0
        self._copies: queue.SimpleQueue[Waiting] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None

    def copy(self, call: Call, shadows: tuple[LoadedArm, ...]) -> None:
        """Takes a call over, if it is of the logged share and there is room."""
        if not self._spool.rules.takes(call.ids[0]):
            return
        rows = len(call.question.values)
        if self._waiting + rows > _MOST_WAITING:
            self._counters.shadows_dropped += rows
            return
        self._waiting += rows
        self._copies.put((call, shadows))
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            sys.setswitchinterval(_SWITCH)
            threading.Thread(target=self._work, args=(self._loop,), name="shadows", daemon=True).start()

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(OSError, AttributeError):
            # Of this thread alone, where the system knows such a thing.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while True:
            waiting = [self._copies.get()]
            while len(waiting) < _MOST_AT_ONCE and not self._copies.empty():
                waiting.append(self._copies.get())
            asked = _ask(waiting)
            try:
                loop.call_soon_threadsafe(self._take, waiting, asked)
            except RuntimeError:
                # The service has ended.
                return

    def _take(self, waiting: list[Waiting], asked: dict[LoadedArm, list[Asked]]) -> None:
        """Notes what shadows answered, and asks those that run in processes of their own."""
        self._waiting -= sum(len(call.question.values) for call, _ in waiting)
        with told(self._counters, "shadowing"):
            self._note(self._settled(asked))

    def _settled(self, asked: dict[LoadedArm, list[Asked]]) -> dict[LoadedArm, list[Asked]]:
        """Asks the shadows that run in processes of their own; what the others have answered, and what cannot be asked."""
        here = {}
        for shadow, pairs in asked.items():
            if shadow.model.pool is None:
                here[shadow] = pairs
                continue
            self._with_processes.update((own, call) for call, own in pairs if own.error is None)
            ready = [own for _, own in pairs if own.error is None]
            self._queues.add(self, shadow, ready, time.perf_counter_ns())
            here[shadow] = [self._with_call(own) for own in ready if own.ticket is None]
            here[shadow] += [(call, own) for call, own in pairs if own.error is not None and own not in ready]
        return here

    def returned(self, back: list[tuple[Ticket, Call]]) -> None:
        """Takes copies that come back from processes of their models."""
        asked: dict[LoadedArm, list[Asked]] = {}
        now = time.perf_counter_ns()
        for ticket, own in back:
            own.latency_us = (now - ticket.handed) // 1000
            own.status = own.status or 200
            asked.setdefault(ticket.arm, []).append(self._with_call(own))
        with told(self._counters, "shadowing"):
            self._note(asked)

    def expired(self, ticket: Ticket, call: Call) -> None:
        """Nobody waits for a copy: its time is never over."""

    def patience(self, arm: LoadedArm, call: Call) -> int:
        """For ever."""
        del arm, call
        return 0

    def _with_call(self, own: Call) -> Asked:
        return self._with_processes.pop(own), own

    def _note(self, asked: dict[LoadedArm, list[Asked]]) -> None:
        """Logs and counts what shadows answered."""
        answered, failed = [], []
        rows = 0
        for shadow, everything in asked.items():
            pairs = [(call, own) for call, own in everything if own.status != TOO_MANY]
            self._counters.shadows_dropped += sum(
                len(call.question.values) for call, own in everything if own.status == TOO_MANY
            )
            rows += sum(len(call.question.values) for call, _ in pairs)
            good = [(call, own) for call, own in pairs if own.error is None]
            if good:
                ids = [one for call, _ in good for one in call.ids]
                answered.append((shadow.note, answered_by(shadow.note.key, [own for _, own in good], answers=ids)))
            failed += [failure_of(own) for _, own in pairs if own.error is not None]
            counters = self._counters.of(shadow.note.endpoint, str(shadow.arm.number), shadow.arm.role)
            for call, own in pairs:
                counters.count(own.status, len(call.question.values), own.latency_us)
        if not answered and not failed:
            return
        try:
            self._spool.write(answered, failed)
        except Unavailable:
            self._counters.shadows_dropped += rows


def _ask(waiting: list[Waiting]) -> dict[LoadedArm, list[Asked]]:
    """What each shadow answers to its copies: one prediction for all of them."""
    found: dict[LoadedArm, list[Asked]] = {}
    for call, shadows in waiting:
        for shadow in shadows:
            found.setdefault(shadow, []).append((call, _copy_of(call, shadow)))
    for shadow, pairs in found.items():
        if shadow.model.pool is not None:
            continue
        own = [one for _, one in pairs if one.error is None]
        began = time.thread_time_ns()
        if own:
            predict(shadow, own)
        # What the processor did for it: by the clock it is as slow as the answers it gives way to.
        took = (time.thread_time_ns() - began) // 1000
        for _, one in pairs:
            one.latency_us, one.status = took, one.status or 200
    return found


def _copy_of(call: Call, shadow: LoadedArm) -> Call:
    copy = Call(call.request, call.body, call.size, _keep_quiet)
    copy.received_at, copy.arm = call.received_at, shadow
    try:
        alike = call.arm is not None and same_inputs(call.arm, shadow)
        copy.question = call.question if alike else shadow.model.read(call.form, call.body, call.request.json_size)
    except KeptError as error:
        copy.fail(error)
    except Exception as error:  # noqa: BLE001 - one that cannot be read must not keep the others from being asked
        fail(shadow, copy, error)
    return copy


def _keep_quiet(call: Call) -> None:
    """A shadow's answer goes nowhere."""
