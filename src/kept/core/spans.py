"""Spans: stretches of work that a trace is made of, and how they leave the process without holding it up.

Who works hands finished spans to `Traces`, which is told of none that is not sampled. A thread of its own carries them away in
batches. What it cannot get rid of is dropped and counted: nobody ever waits for a collector.
"""

import contextlib
import logging
import random
import re
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

# Version 00, and of later ones what they begin with (W3C Trace Context, 3.2.2 and 4.3).
_TRACEPARENT = re.compile(rb"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MOST_WAITING = 8_192
_BATCH = 512
_EVERY_SECONDS = 1.0
_LONGEST_PAUSE = 60.0

Value = str | int | float | bool

_logger = logging.getLogger("kept.traces")


class Context(msgspec.Struct, frozen=True):
    """Where a span stands: its trace, and the span that it is part of (0 for none)."""

    trace: int
    span: int = 0


class Moment(msgspec.Struct, frozen=True, gc=False):
    """Something within a span: its name, when it was (nanoseconds since 1970), and facts."""

    name: str
    at: int
    facts: dict[str, Value]


class Span(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stretch of work that is over. Times are nanoseconds since 1970.

    Args:
        name: what was done, in a few words that many spans share.
        trace: id of the trace, 128 bits.
        span: id of the span, 64 bits.
        parent: id of the span that it is part of; 0 for none.
        start: when it began.
        end: when it was over.
        facts: what is known of it.
        moments: what happened within.
        error: what went wrong; empty when nothing did.
        kind: `server` when somebody else asked for it.
    """

    name: str
    trace: int
    span: int
    parent: int = 0
    start: int
    end: int
    facts: dict[str, Value]
    moments: tuple[Moment, ...] = ()
    error: str = ""
    kind: Literal["internal", "server"] = "internal"


class Carrier(Protocol):
    """Carries spans to where they are kept."""

    def carry(self, spans: Sequence[Span]) -> bool:
        """Whether they arrived. May wait as long as it likes."""
        ...


class Traces:
    """Takes spans and has them carried away.

    Args:
        carrier: where to.
        share: share of the traces that are told of where nobody has decided before.
    """

    def __init__(self, carrier: Carrier, share: float = 1.0) -> None:
        self._carrier = carrier
        self._share = share
        self._waiting: deque[Span] = deque()
        self._due = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._begun = threading.Lock()
        self.dropped = 0

    def sampled(self, traceparent: bytes = b"") -> Context | None:
        """Where a span is to stand whose work was asked for with this header; None when it is not to be told of.

        Who asks decides by the header's flag; without a header that can be read, chance does.
        """
        if traceparent and (found := _TRACEPARENT.fullmatch(traceparent)) is not None:
            version, trace, span, flags = found.group(1, 2, 3, 4)
            known = Context(int(trace, 16), int(span, 16))
            if known.trace and known.span and not (version == b"00" and found[5]):
                return known if int(flags, 16) & 1 else None
        return Context(random.getrandbits(128) or 1) if random.random() < self._share else None

    def tell(self, span: Span) -> None:
        """Takes a span. This never waits."""
        if len(self._waiting) >= _MOST_WAITING:
            self.dropped += 1
            return
        self._waiting.append(span)
        if self._thread is None:
            self._begin()
        if len(self._waiting) == _BATCH:
            self._due.set()

    def close(self, patience: float = 2.0) -> None:
        """Carries what waits, for at most so many seconds."""
        self._closing.set()
        self._due.set()
        if self._thread is not None:
            self._thread.join(patience)

    def _begin(self) -> None:
        with self._begun:
            if self._thread is None:
                self._thread = threading.Thread(target=self._carry, name="traces", daemon=True)
                self._thread.start()

    def _carry(self) -> None:
        pause = 0.0
        while not self._closing.is_set():
            self._due.wait(_EVERY_SECONDS)
            self._due.clear()
            while self._waiting and self._carried():
                pause = 0.0
            if self._waiting or self._lost:
                # What came meanwhile is of the past when the collector is back: it is not even put together.
                pause = min(max(2 * pause, _EVERY_SECONDS), _LONGEST_PAUSE)
                self._closing.wait(pause)
                self._forget()
        self._carried()

    _lost = False

    def _carried(self) -> bool:
        """Whether a batch arrived. One that did not is dropped."""
        batch: list[Span] = []
        with contextlib.suppress(IndexError):
            while len(batch) < _BATCH:
                batch.append(self._waiting.popleft())
        if not batch:
            return True
        try:
            arrived = self._carrier.carry(batch)
        except Exception as error:  # noqa: BLE001 - whatever a collector does to us, the work goes on
            _logger.debug("%s", error)
            arrived = False
        if arrived == self._lost:
            _logger.warning("spans %s", "arrive" if arrived else "do not arrive: they are dropped")
        self._lost = not arrived
        self.dropped += 0 if arrived else len(batch)
        return arrived

    def _forget(self) -> None:
        """Drops all but the newest batch."""
        while len(self._waiting) > _BATCH:
            with contextlib.suppress(IndexError):
                self._waiting.popleft()
            self.dropped += 1


def new_span() -> int:
    """The id of a span."""
    return random.getrandbits(64) or 1


def now() -> int:
    """The present moment in nanoseconds since 1970."""
    return time.time_ns()
