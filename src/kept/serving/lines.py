"""Waiting lines (fair queues): one for each caller, as long as can be worked off in time, and emptied in turn.

What a call costs is guessed from its size; what a unit of cost takes, and how much of the time is left for work beside reading and
refusing, is learnt from the turns that were run. A call whose line is full is not taken in: it would wait longer than its caller
should, and work on it would keep others waiting.
"""

from collections import deque
from collections.abc import Collection
from typing import Generic, Protocol, TypeVar

from kept.serving.request import Request

# Bytes that the work on a request without a body would be worth.
_HEAD = 600
# How much of what was learnt is kept from turn to turn.
_MEMORY = 0.95
# The share of the time that is left for work is taken to be at least this.
_LEAST_SHARE = 0.1
# A guess for the first turns: the work of 20 microseconds on a small request.
_FIRST_GUESS = 1.5e-8
_FIRST_COST = 10_000.0
# A turn is ended after about this share of the longest wait: soon enough that what comes is seen and refused in time, late enough
# that a slow model that answers many as fast as one is asked about many.
_TURN = 0.25
# The share of the longest wait that a request may be thought to wait before it is read.
_MOST_UNREAD = 0.6
# What a line may be given in one round at least, so that large calls are not counted up to in pennies.
_LEAST_CREDIT = 10_000
# One turn may say at most that work takes so many times longer than was thought: a machine that slept is no slow model.
_MOST_SURPRISE = 50.0
_LONGEST_BETWEEN = 0.1


class Waiting(Protocol):
    """What can wait: it has a caller, and a size in bytes."""

    request: Request
    size: int


_Call = TypeVar("_Call", bound=Waiting)


class _Line(Generic[_Call]):
    __slots__ = ("calls", "cost", "credit")

    def __init__(self) -> None:
        self.calls: deque[_Call] = deque()
        self.cost = 0
        self.credit = 0


class Lines(Generic[_Call]):
    """Calls that wait for their turn, each in its caller's line.

    Args:
        longest_wait: seconds that a call may have to wait for its turn.
        at_once: turns that are worked on at the same time.
    """

    def __init__(self, longest_wait: float, at_once: int = 1) -> None:
        self._longest_wait = longest_wait
        self._at_once = at_once
        self._cost = _FIRST_COST
        self._worked = _FIRST_COST * _FIRST_GUESS
        self._between = 0.0
        self._round = 0.0
        self._seconds = _FIRST_GUESS
        self._lines: dict[str, _Line[_Call]] = {}
        self._busy: deque[_Line[_Call]] = deque()
        self._pace = _FIRST_GUESS
        self._room = 0
        self._budget = 0
        self._measure()

    def __bool__(self) -> bool:
        return bool(self._busy)

    def admits(self, caller: str, size: int, timeout_us: int = 0) -> bool:
        """Whether there is room for a call of that size, and its turn would come before its deadline."""
        if not self._busy:
            return True
        line = self._lines.get(caller)
        if line is None or not line.calls:
            return True
        waiting = line.cost + size + _HEAD
        if waiting > self._room:
            return False
        return not timeout_us or (waiting * self._pace * len(self._busy) + self._round) * 1e6 <= timeout_us

    def add(self, call: _Call) -> None:
        """Puts a call at the end of its caller's line."""
        caller = call.request.caller
        line = self._lines.get(caller)
        if line is None:
            line = self._lines[caller] = _Line()
        if not line.calls:
            self._busy.append(line)
            if len(self._busy) > 1:
                self._measure()
        line.calls.append(call)
        line.cost += call.size + _HEAD

    def take(self) -> tuple[Collection[_Call], int]:
        """The calls of the next turn, of which there is at least one, and what they cost. Callers that wait are served alike."""
        budget, busy = self._budget, self._busy
        line = busy[0]
        if len(busy) == 1 and line.cost <= budget:
            busy.clear()
            calls, line.calls = line.calls, deque()
            spent, line.cost = line.cost, 0
            return calls, spent
        taken: list[_Call] = []
        spent = 0
        share = max(budget // max(len(busy), 1), _LEAST_CREDIT)
        while busy and (spent < budget or not taken):
            line = busy.popleft()
            line.credit += share
            while line.calls and (cost := line.calls[0].size + _HEAD) <= line.credit and (spent < budget or not taken):
                line.credit -= cost
                line.cost -= cost
                spent += cost
                taken.append(line.calls.popleft())
            if line.calls:
                busy.append(line)
            else:
                line.credit = 0
        return taken, spent

    def learn(self, cost: int, worked: float, between: float) -> None:
        """Notes how long the work on some cost took, and how long it waited since the turn before that left some behind (else 0)."""
        self._cost = self._cost * _MEMORY + cost
        self._worked = self._worked * _MEMORY + min(worked, cost * self._seconds * _MOST_SURPRISE)
        self._between = self._between * _MEMORY + min(between, _LONGEST_BETWEEN)
        self._seconds = self._worked / self._cost
        # A long round counts at once, and is forgotten slowly. Without calls left behind there was no waiting to be read.
        self._round = max(self._round * _MEMORY, worked + between if between else 0.0)
        self._measure()

    def _measure(self) -> None:
        share = max(self._worked / (self._worked + self._between), _LEAST_SHARE)
        self._pace = self._seconds / share / self._at_once
        # What comes during a turn waits for its end, too, and until it is read.
        unread = min(max(_TURN * self._longest_wait, self._round), _MOST_UNREAD * self._longest_wait)
        self._room = int((self._longest_wait - unread) / self._pace / max(len(self._busy), 1))
        self._budget = max(int(self._longest_wait * _TURN / self._seconds), 1)
