"""When a process of a model is asked again: the pool's part is played here, so that it answers when it is told to."""

import asyncio
import time
from collections.abc import Callable
from contextvars import Context
from types import SimpleNamespace
from typing import Any, TypeVarTuple, cast

import numpy as np
import pytest

from kept.core.errors import KeptError
from kept.serving import queues
from kept.serving.calls import Call
from kept.serving.children.messages import Answers, Failure
from kept.serving.children.process import Answered
from kept.serving.protocol.values import Question
from kept.serving.queues import Queues, Ticket
from kept.serving.request import Request
from kept.serving.runtime import LoadedArm

_Arguments = TypeVarTuple("_Arguments")


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine no time is over before it is seen."""
    monkeypatch.setattr(queues, "_GATHERING", 30.0)


class Pool:
    """One process. It is asked for lists of sizes, and answers what it was asked first."""

    size = 1
    trouble: KeptError | None = None
    busy_for = 0.0

    def __init__(self, events: list[str]) -> None:
        self.free = True
        self._events = events
        self._answered: Answered | None = None
        self._rows = 0
        self._changed: Callable[[], None] | None = None
        self.asked = asyncio.Event()

    def attach(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    def ask(self, message: bytes, rows: int, answered: Answered) -> None:
        assert self.free
        self.free, self._rows, self._answered = False, rows, answered
        self._events.append(f"asked {message.decode()}")
        self.asked.set()

    def answer(self, took: float, failed: dict[int, Failure] | None = None) -> None:
        assert self._answered is not None
        assert self._changed is not None
        answered, rows = self._answered, self._rows
        answered((Answers(1, failed or {}, took), np.zeros(0 if failed else rows).tobytes()), took)
        self.free = True
        self._changed()

    def unasked(self) -> None:
        pass


class Model:
    """A model that is asked by how many ask."""

    quiet = False

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def message(self, sizes: list[int], values: list[Any]) -> bytes:
        assert sum(sizes) == len(values)
        return str(len(sizes)).encode()


class Clients:
    """Ask, and ask again some rounds of the event loop after they were answered; never with a negative number of rounds."""

    def __init__(self, rounds: int, pool: type[Pool] = Pool) -> None:
        self.events: list[str] = []
        self.pool = pool(self.events)
        named = SimpleNamespace(number=1, model="late")
        self._arm = cast("LoadedArm", SimpleNamespace(model=Model(self.pool), arm=named))
        self._queues = Queues(10.0)
        # When the time of those who ask is over.
        self.until = 0
        self.over = asyncio.Event()
        self._rounds = rounds

    def ask(self, count: int) -> None:
        calls = []
        for _ in range(count):
            call = Call(Request("late", "rows"), b"", 10, lambda _: None)
            call.question = Question(values=[(1.0,)])
            calls.append(call)
        self._queues.add(self, self._arm, calls, 0)

    def returned(self, back: list[tuple[Ticket, Call]]) -> None:
        failed = {str(call.error) for _, call in back if call.error is not None}
        self.events.append(f"answered {len(back)}" if not failed else f"failed {len(back)}: {'; '.join(failed)}")
        for place in range(len(back) if self._rounds >= 0 else 0):
            self._later(self._rounds + place)

    def _later(self, rounds: int) -> None:
        if rounds:
            asyncio.get_running_loop().call_soon(self._later, rounds - 1)
        else:
            self.ask(1)

    def expired(self, ticket: Ticket, call: Call) -> None:
        del ticket, call
        self.events.append("expired" if time.perf_counter_ns() >= self.until else "expired early")
        self.over.set()

    def patience(self, arm: LoadedArm, call: Call) -> int:
        del arm, call
        return self.until


class Hasty(asyncio.SelectorEventLoop):
    """Its timers are early."""

    def call_later(
        self,
        delay: float,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return super().call_later(delay / 8, callback, *args, context=context)


async def rounds(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_lone_request_waits_for_nothing() -> None:
    async def asked() -> list[str]:
        clients = Clients(rounds=1)
        clients.ask(1)
        return clients.events

    assert asyncio.run(asked()) == ["asked 1"]


@pytest.mark.parametrize("away", [1, 2])
def test_it_is_asked_for_all_who_ask_again_and_not_for_two_halves(away: int) -> None:
    async def asked() -> list[str]:
        clients = Clients(rounds=away)
        clients.ask(1)
        clients.ask(5)
        clients.pool.answer(5e-3)
        await rounds(20)
        clients.pool.answer(5e-3)
        await rounds(20)
        clients.pool.answer(5e-3)
        return clients.events

    assert asyncio.run(asked()) == ["asked 1", "answered 1", "asked 6", "answered 6", "asked 6", "answered 6"]


def test_one_that_is_slow_waits_a_little_for_those_who_take_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # Long enough for whoever is kept off the processor meanwhile.
    monkeypatch.setattr(queues, "_GATHERING", 0.5)

    async def asked(took: float) -> list[str]:
        clients = Clients(rounds=8)
        clients.ask(1)
        clients.ask(2)
        clients.pool.asked.clear()
        clients.pool.answer(took)
        await rounds(40)
        await asyncio.wait_for(clients.pool.asked.wait(), 60)
        return clients.events

    assert asyncio.run(asked(1.0)) == ["asked 1", "answered 1", "asked 3"]
    assert asyncio.run(asked(5e-3)) == ["asked 1", "answered 1", "asked 2"]


def test_those_who_do_not_ask_again_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "_GATHERING", 0.001)

    async def asked() -> list[Any]:
        clients = Clients(rounds=-1)
        clients.ask(4)
        clients.ask(1)
        clients.pool.answer(1.0)
        clients.pool.asked.clear()
        await asyncio.wait_for(clients.pool.asked.wait(), 60)
        return clients.events

    assert asyncio.run(asked()) == ["asked 4", "answered 4", "asked 1"]


def test_no_time_is_over_before_it_is_though_timers_are_early() -> None:
    async def asked() -> list[str]:
        clients = Clients(rounds=-1)
        clients.until = time.perf_counter_ns() + 100_000_000
        clients.ask(1)
        await clients.over.wait()
        return clients.events

    with asyncio.Runner(loop_factory=Hasty) as runner:
        assert runner.run(asked()) == ["asked 1", "expired"]


def test_one_that_is_quicker_than_its_answers_are_dealt_with_works_meanwhile() -> None:
    async def asked(took: float) -> list[str]:
        clients = Clients(rounds=1)
        clients.ask(8)
        clients.ask(4)
        clients.pool.answer(took)
        await rounds(20)
        return clients.events

    assert asyncio.run(asked(2e-4)) == ["asked 8", "asked 4", "answered 8"]
    assert asyncio.run(asked(5e-3)) == ["asked 8", "answered 8", "asked 12"]


def test_it_is_not_asked_for_all_at_once_where_it_would_have_nothing_to_do_while_they_are_dealt_with() -> None:
    async def asked(took: float) -> list[str]:
        clients = Clients(rounds=-1)
        clients.ask(16)
        clients.pool.answer(took)
        clients.ask(16)
        clients.pool.answer(took)
        await rounds(20)
        return clients.events

    first = ["asked 16", "answered 16"]
    assert asyncio.run(asked(3e-4)) == [*first, "asked 11", "asked 5", "answered 11"]
    assert asyncio.run(asked(1e-5)) == asyncio.run(asked(5e-3)) == [*first, "asked 16", "answered 16"]


class Refusing(Pool):
    """Takes no question, and is free for the next."""

    def ask(self, message: bytes, rows: int, answered: Answered) -> None:
        del message, rows, answered
        self.free = False
        raise RuntimeError("no way through")


def test_calls_that_no_process_takes_come_back() -> None:
    async def asked() -> list[str]:
        clients = Clients(rounds=-1, pool=Refusing)
        clients.ask(2)
        await rounds(3)
        return clients.events

    said = "version 1 of late: the model raised RuntimeError. See the service's own log"
    assert asyncio.run(asked()) == [f"failed 2: {said}"]


def test_an_answer_that_makes_no_sense_is_one() -> None:
    async def asked() -> list[str]:
        clients = Clients(rounds=-1)
        clients.ask(1)
        clients.pool.answer(5e-3, {0: cast("Failure", "not as it should be")})
        await rounds(20)
        return clients.events

    said = "version 1 of late: the model raised AttributeError. See the service's own log"
    assert asyncio.run(asked()) == ["asked 1", f"failed 1: {said}"]
