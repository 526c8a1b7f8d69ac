"""Micro-batching for models that run in processes of their own.

What came in one turn, and what queued while the processes were busy, is one prediction call. A process is asked from the event loop,
which does not wait for it: its answers come back in a later turn. A lone request is asked for at once. What would wait longer than it
may is refused.

A process that has answered is asked again when those that were answered have asked again, or no more come, as two halves of the
clients, asked for in turn, would each have the price of all. Where twice that price is less than what it takes to deal with the
answers, it is asked as soon as some wait, and works meanwhile.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np

from kept.core.errors import Damaged, KeptError
from kept.core.ids import new_ids
from kept.serving.calls import OVERLOADED, TOO_MANY, Call, fail, values_of
from kept.serving.children.messages import Answers
from kept.serving.children.pool import Pool
from kept.serving.lines import Lines
from kept.serving.protocol.answers import as_scores
from kept.serving.request import Request
from kept.serving.runtime import LoadedArm, LoadedModel

# Seconds that what nobody waits for may have to wait.
_QUIET_WAIT = 2.0
# Rounds of the event loop that bring nothing new before nobody more is expected: what one round reads the next hands over.
_ROUNDS = 2
# Seconds that it takes to read and to answer a call, and the part of the calls that is enough where that takes longest. Of what
# takes but a small part of that, nothing is gained.
_ONE_CALL = 4e-5
_SOME = 3
_LITTLE = 4
# All are then asked for in two parts, and a part has nearly the price of all.
_PARTS = 2
# How much of the number of clients is kept from answer to answer.
_MEMORY = 0.9
# A model that takes so many seconds waits for those who ask again, so many seconds longer. Timers know milliseconds.
_SLOW = 0.01
_GATHERING = 0.001
_SHORTEST_TIMER = 0.001


class Asker(Protocol):
    """Who asks, and is told in the event loop."""

    def returned(self, back: "list[tuple[Ticket, Call]]") -> None:
        """Takes calls that were answered together, or failed, in the order in which they were asked."""
        ...

    def expired(self, ticket: "Ticket", call: Call) -> None:
        """Takes a call whose time is over."""
        ...

    def patience(self, arm: LoadedArm, call: Call) -> int:
        """When that is, `perf_counter_ns`; 0 for never."""
        ...


class Ticket:
    """A call on its way through a process. The way may be given up, and the call goes another one."""

    __slots__ = ("arm", "asker", "began", "call", "handed", "request", "size", "timer", "until")

    def __init__(self, asker: Asker, arm: LoadedArm, call: Call, began: int, handed: int) -> None:
        self.asker = asker
        self.arm = arm
        self.call: Call | None = call
        # When the turn began that read it, and when it was handed over.
        self.began = began
        self.handed = handed
        self.request: Request = call.request
        self.size = call.size
        # When its time is over; 0 for never.
        self.until = 0
        self.timer: asyncio.TimerHandle | None = None

    def give_up(self) -> Call | None:
        """The call, which is not on this way any more; None when it had left it before."""
        call, self.call = self.call, None
        if call is not None:
            call.ticket = None
        if self.timer is not None:
            self.timer.cancel()
        return call


class Queues:
    """The queue of each model that runs in processes of its own. Used in the event loop.

    Args:
        longest_wait: seconds that a call may have to wait for its turn.
    """

    def __init__(self, longest_wait: float) -> None:
        self._longest_wait = longest_wait
        self._queues: WeakKeyDictionary[LoadedModel, _Queue] = WeakKeyDictionary()

    def add(self, asker: Asker, arm: LoadedArm, calls: Sequence[Call], began: int) -> None:
        """Puts calls into the queue of an arm's model. One that it does not take has failed when this returns.

        Args:
            asker: who is told of their answers.
            arm: the arm that is asked; its model has a pool.
            calls: what it is asked.
            began: when the turn began that read them, `perf_counter_ns`.
        """
        queue = self._queues.get(arm.model)
        if queue is None:
            assert arm.model.pool is not None  # noqa: S101 - such an arm is asked
            longest = max(self._longest_wait, _QUIET_WAIT) if arm.model.quiet else self._longest_wait
            queue = self._queues[arm.model] = _Queue(arm.model.pool, longest)
        queue.enter(asker, arm, calls, began)


class _Queue:
    """What waits for the processes of one model."""

    def __init__(self, pool: Pool, longest_wait: float) -> None:
        self._pool = pool
        self._longest_wait = longest_wait
        self._lines: Lines[Ticket] = Lines(longest_wait, pool.size)
        self._loop = asyncio.get_running_loop()
        # Tickets that wait, and for how many of them a free process waits.
        self._waiting = 0
        self._enough = 0
        self._took = 0.0
        self._clients = 0.0
        # So many of all are left for when it has answered.
        self._spared = 0
        self._back: list[Callable[[], None]] = []
        pool.attach(self._freed)

    def enter(self, asker: Asker, arm: LoadedArm, calls: Sequence[Call], began: int) -> None:
        """Takes calls in, or fails them at once; asks for them, unless more is waited for."""
        handed, lines = time.perf_counter_ns(), self._lines
        trouble = self._pool.trouble
        # Lines do not know yet that what hangs takes long.
        hangs = self._pool.busy_for > self._longest_wait
        for call in calls:
            if trouble is not None:
                call.fail(trouble)
                continue
            until = asker.patience(arm, call)
            left = max(until - handed, 1000) if until else 0
            if (hangs and lines) or not lines.admits(call.request.caller, call.size, left // 1000):
                call.fail(OVERLOADED, TOO_MANY)
                continue
            ticket = Ticket(asker, arm, call, began, handed)
            lines.add(ticket)
            call.ticket = ticket
            self._waiting += 1
            if left:
                ticket.until = handed + left
                ticket.timer = self._loop.call_later(left / 1e9, self._expire, ticket)
        if self._waiting >= self._enough:
            self.changed()

    def _freed(self) -> None:
        if self._waiting and self._waiting >= self._enough:
            self.changed()
        else:
            self._loop.call_soon(self._look, 0, 0)
        back, self._back = self._back, []
        for give in back:
            give()

    def _look(self, seen: int, rounds: int) -> None:
        """Asks when all have asked again that may, or no more come."""
        rounds = 0 if self._waiting > seen else rounds + 1
        if self._waiting >= self._enough:
            self.changed()
        elif rounds <= _ROUNDS:
            self._loop.call_soon(self._look, self._waiting, rounds)
        elif self._took >= _SLOW:
            self._took = 0.0
            self._loop.call_later(_GATHERING, self._look, self._waiting, _ROUNDS)
        else:
            self.changed()

    def changed(self) -> None:
        """Asks what can be asked."""
        self._enough = 0
        trouble = self._pool.trouble
        while self._lines and (trouble is not None or self._pool.free):
            taken, cost = self._lines.take()
            self._waiting -= len(taken)
            tickets = [one for one in taken if one.call is not None]
            if self._spared and len(tickets) > self._spared * (_SOME - 1):
                tickets, cost = self._spare(tickets, cost)
            if trouble is not None:
                self._fail(tickets, trouble)
            elif tickets:
                self._ask(tickets, cost)
        if not self._lines:
            self._pool.unasked()

    def _spare(self, tickets: list[Ticket], cost: int) -> tuple[list[Ticket], int]:
        """Puts the last of some tickets back; the others, and what they cost."""
        asked = len(tickets) - self._spared
        for ticket in tickets[asked:]:
            self._lines.add(ticket)
        self._waiting += self._spared
        return tickets[:asked], cost * asked // len(tickets)

    def _ask(self, tickets: list[Ticket], cost: int) -> None:
        calls = [one.call for one in tickets if one.call is not None]
        sizes = [len(call.question.values) for call in calls]
        try:
            message = tickets[0].arm.model.message(sizes, values_of(calls))
        except Exception as error:  # noqa: BLE001 - one whose values make no question must not spoil the others
            if len(tickets) == 1:
                self._fail(tickets, error)
                return
            first, *others = tickets
            for ticket in others:
                self._lines.add(ticket)
            self._waiting += len(others)
            self._ask([first], cost)
            return
        try:
            self._pool.ask(message, sum(sizes), partial(self._answered, tickets, sizes, cost))
        except Exception as error:  # noqa: BLE001 - nobody else knows of them any more
            self._fail(tickets, error)

    def _answered(
        self,
        tickets: list[Ticket],
        sizes: list[int],
        cost: int,
        outcome: tuple[Answers, bytes] | KeptError,
        took: float,
    ) -> None:
        self._lines.learn(cost, took, 0.0)
        if isinstance(outcome, KeptError):
            # Its process is gone. There may be others, which need not wait until another is up.
            self._return(tickets, [outcome] * len(tickets))
            return
        self._took = took
        answers, body = outcome
        everyone = self._waiting + len(tickets)
        # Some may be on their way to ask again.
        self._clients = max(self._clients * _MEMORY, everyone)
        dealing = self._clients * _ONE_CALL
        meanwhile = dealing / _LITTLE < answers.seconds < dealing / _PARTS
        self._enough = max(everyone // _SOME, 1) if meanwhile else everyone
        # Asked for all at once it would go on being asked for all at once.
        self._spared = everyone // _SOME if meanwhile else 0
        # Its process is free in a moment, and may be asked again before these are dealt with.
        self._back.append(lambda: self._give(tickets, answers, body, sizes))

    def _give(self, tickets: list[Ticket], answers: Answers, body: bytes, sizes: list[int]) -> None:
        try:
            parts = parts_of(answers, body, sizes)
        except Exception as error:  # noqa: BLE001 - an answer that makes no sense is one
            parts = [error] * len(sizes)
        self._return(tickets, parts)

    def _expire(self, ticket: Ticket) -> None:
        left = ticket.until - time.perf_counter_ns()
        if left > 0:
            # Timers count from the beginning of a round of the loop, and may be early.
            ticket.timer = self._loop.call_later(max(left / 1e9, _SHORTEST_TIMER), self._expire, ticket)
            return
        call = ticket.give_up()
        if call is not None:
            ticket.asker.expired(ticket, call)

    def _fail(self, tickets: list[Ticket], error: Exception) -> None:
        """Gives calls back later: who asks is told by what this queue was told just now."""
        self._loop.call_soon(self._return, tickets, [error] * len(tickets))

    def _return(self, tickets: Sequence[Ticket], outcomes: Sequence[list[Any] | Exception]) -> None:
        back: dict[Asker, list[tuple[Ticket, Call]]] = {}
        ids = new_ids(sum(len(one) for one in outcomes if isinstance(one, list)))
        start = 0
        for ticket, outcome in zip(tickets, outcomes, strict=True):
            call = ticket.give_up()
            if isinstance(outcome, list):
                end = start + len(outcome)
                if call is not None:
                    call.scores, call.ids = outcome, ids[start:end]
                start = end
            elif call is not None:
                fail(ticket.arm, call, outcome)
            if call is not None:
                back.setdefault(ticket.asker, []).append((ticket, call))
        for asker, calls in back.items():
            asker.returned(calls)


def parts_of(answers: Answers, body: bytes, sizes: Sequence[int]) -> list[list[Any] | Exception]:
    """The scores of each request, or why it has none."""
    found: list[list[Any] | Exception] = []
    rows = sum(size for place, size in enumerate(sizes) if place not in answers.failed)
    if answers.width < 1 or len(body) != 8 * rows * answers.width:
        wrong = Damaged(f"expected {rows} rows of answers, found {len(body)} bytes", where="process of the model")
        return [wrong] * len(sizes)
    numbers = np.frombuffer(body)
    scores = as_scores(numbers.reshape(rows, answers.width) if answers.width > 1 else numbers)
    start = 0
    for place, size in enumerate(sizes):
        if place in answers.failed:
            found.append(answers.failed[place].error())
        else:
            found.append(scores[start : start + size])
            start += size
    return found
