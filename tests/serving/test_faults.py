"""Whatever is raised on a request's way, at any stage of it, is answered with 500, and the service goes on."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn
from predicting import ROW, Packaged
from test_fallbacks import InProcess, arm
from uvicorn.server import ServerState

from kept.core.spans import Context, Span, Traces
from kept.deployment.routing import Fallback
from kept.serving.app import Application
from kept.serving.calls import Call
from kept.serving.counters import Counters, MemoryCounts
from kept.serving.door import Door, Refusal
from kept.serving.entries import Answered, ArmNote, Failed
from kept.serving.explaining.asking import Back, Explaining
from kept.serving.fallbacks import Ranges
from kept.serving.http import PredictionProtocol
from kept.serving.log import Spool
from kept.serving.logrules import LogRules
from kept.serving.memory import Memory
from kept.serving.on_demand import TurnsOnDemand
from kept.serving.protocol.answers import Answerer
from kept.serving.request import Request
from kept.serving.router import Router
from kept.serving.runtime import LoadedModel, LoadedRoute
from kept.serving.turns import Turns

SPOILT = "spoilt"


class Fault(Exception):
    """What nobody expects."""


@pytest.fixture
def served(tmp_path: Path, packaged: dict[str, Packaged]) -> InProcess:
    return InProcess(tmp_path, packaged, arm("first", 1))


async def ask(turns: Turns, *requests: Request, key: str = "k") -> list[Call]:
    """Asks about a row each, all in one turn; the answered calls. Only the last one's key is the given one."""
    loop = asyncio.get_running_loop()
    answers = []
    for request in requests:
        body = json.dumps({"rows": [ROW], "keys": [key if request is requests[-1] else "k"]}).encode()
        done: asyncio.Future[Call] = loop.create_future()
        turns.ask(Call(request, body, len(body), done.set_result))
        answers.append(done)
    return await asyncio.wait_for(asyncio.gather(*answers), 60)


def late() -> Request:
    return Request("late", "rows")


def faults(counters: Counters) -> dict[str, float]:
    return {
        sample.labels["stage"]: sample.value
        for metric in counters.collect()
        for sample in metric.samples
        if sample.name == "kept_service_faults_total"
    }


def said(call: Call) -> tuple[int, str]:
    return call.status, json.loads(call.answer)["error"]


class OddRouter:
    """A router that raises for one name."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self.troubles = router.troubles

    def find(self, endpoint: str) -> LoadedRoute:
        if endpoint == "odd":
            raise Fault
        return self._router.find(endpoint)


def test_what_routing_raises_concerns_one_request(served: InProcess) -> None:
    turns = Turns(cast("Router", OddRouter(served.router)), served.spool, served.counters)
    bad, good = asyncio.run(ask(turns, Request("odd", "rows"), late()))
    assert said(bad) == (500, "model 'odd': reading raised Fault. See the service's own log")
    assert good.status == 200
    assert faults(served.counters) == {"reading": 1}


class OddRanges(Ranges):
    """Raises for whatever it is asked."""

    def outside(self, rows: Sequence[Sequence[Any]]) -> str:
        del rows
        raise Fault


def test_what_asking_raises_concerns_who_asked_that_version(
    tmp_path: Path, packaged: dict[str, Packaged], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = InProcess(tmp_path, packaged, arm("first", 1, fallback=Fallback(on=("range",), constant=0.25)))
    monkeypatch.setattr("kept.serving.fallbacks.Ranges", OddRanges)
    bad, unknown = asyncio.run(ask(served.turns, late(), Request("nobody", "rows")))
    assert said(bad) == (500, "service: asking raised Fault. See the service's own log")
    assert unknown.status == 404
    assert faults(served.counters) == {"asking": 1}
    assert served.shipped("prediction_errors")["status"].to_list() == [500]


class OddSpool(Spool):
    """Cannot write what has a certain key."""

    def write(self, answered: Sequence[tuple[ArmNote, Answered]], failed: Sequence[Failed] = ()) -> None:
        if any(SPOILT in entry.keys for _, entry in answered):
            raise Fault
        super().write(answered, failed)


def test_what_logging_raises_concerns_one_request_and_the_others_are_logged_once(served: InProcess) -> None:
    served.spool = OddSpool(served.root / "spool")
    turns = Turns(served.router, served.spool, served.counters)
    first, second, bad = asyncio.run(ask(turns, late(), late(), late(), key=SPOILT))
    assert said(bad) == (500, "prediction log: logging raised Fault. See the service's own log")
    assert (first.status, second.status) == (200, 200)
    assert (faults(served.counters), served.counters.unlogged) == ({"logging": 1}, 1)
    assert served.shipped("predictions")["id"].to_list() == [first.ids[0], second.ids[0]]


class NoRefusals(Spool):
    """Cannot write what was refused."""

    def write(self, answered: Sequence[tuple[ArmNote, Answered]], failed: Sequence[Failed] = ()) -> None:
        if failed:
            raise Fault
        super().write(answered, failed)


def test_what_is_not_of_the_logged_share_is_counted_once_however_often_the_log_is_tried(served: InProcess) -> None:
    spool = NoRefusals(served.root / "spool", rules=LogRules(share=1e-9))
    turns = Turns(served.router, spool, served.counters)
    calls = asyncio.run(ask(turns, late(), late(), Request("late", "tensors")))
    assert [call.status for call in calls] == [200, 200, 400]
    assert spool.counts.unsampled == 2


class OddAnswerer(Answerer):
    """Writes every other answer."""

    times = 0

    def rows(self, ids: Sequence[str], scores: Sequence[Any]) -> bytes:
        self.times += 1
        if self.times % 2:
            raise Fault
        return super().rows(ids, scores)


def test_what_answering_raises_concerns_one_request_and_it_is_logged_once(served: InProcess) -> None:
    champion = served.router.routes["late"].champion
    champion.answerer = OddAnswerer("late", "late", 1, champion.model.signature)
    bad, good = asyncio.run(ask(served.turns, late(), late()))
    assert said(bad) == (500, "model 'late': answering raised Fault. See the service's own log")
    assert good.status == 200
    assert faults(served.counters) == {"answering": 1}
    assert served.shipped("predictions").height == 2
    assert not (served.root / "tables" / "prediction_errors").exists()


def test_a_delivery_that_raises_keeps_no_other_back(served: InProcess) -> None:
    tried: list[int] = []

    def deliver(call: Call) -> None:
        tried.append(call.status)
        raise Fault

    async def asked() -> list[Call]:
        served.turns.ask(Call(late(), b'{"rows":[]}', 11, deliver))
        return await ask(served.turns, late())

    assert asyncio.run(asked())[0].status == 200
    assert tried == [400, 500]
    assert faults(served.counters) == {"answering": 2}


class OddCounters(Counters):
    """Cannot count what an arm did, where it is asked by its version."""

    def of(self, endpoint: str, version: str, role: str) -> Any:
        if version:
            raise Fault
        return super().of(endpoint, version, role)


def test_what_counting_raises_is_no_request_s_trouble(served: InProcess) -> None:
    counters = OddCounters()
    turns = Turns(served.router, served.spool, counters)
    assert [call.status for call in asyncio.run(ask(turns, late(), late()))] == [200, 200]
    # The first turn is one of those whose stages are told.
    assert faults(counters) == {"counting": 1, "telling": 1}


class OddTraces(Traces):
    """Takes no span."""

    def __init__(self) -> None:
        pass

    def tell(self, span: Span) -> None:
        del span
        raise Fault


def test_what_telling_raises_is_no_request_s_trouble(served: InProcess) -> None:
    turns = Turns(served.router, served.spool, served.counters, traces=OddTraces())
    traced = late()
    traced.trace = Context(1)
    assert [call.status for call in asyncio.run(ask(turns, traced, late()))] == [200, 200]
    assert faults(served.counters) == {"telling": 1}


class OddExplaining(Explaining):
    """Takes no call."""

    def take(self, call: Call, back: Back) -> None:
        del call, back
        raise Fault


def test_what_explaining_raises_concerns_one_request(served: InProcess) -> None:
    turns = Turns(served.router, served.spool, served.counters, explaining=OddExplaining())
    explained = late()
    explained.explain = True
    bad, good = asyncio.run(ask(turns, explained, late()))
    assert said(bad) == (500, "model 'late': explaining raised Fault. See the service's own log")
    assert good.status == 200


class OddMemory(Memory):
    """Has no model."""

    def take(self, models: Iterable[LoadedModel]) -> LoadedModel | None:
        del models
        raise Fault


def test_what_is_raised_before_a_call_is_in_its_line_is_answered_too(served: InProcess) -> None:
    memory = OddMemory(1, MemoryCounts())
    turns = TurnsOnDemand(served.router, served.spool, served.counters, memory)
    (bad,) = asyncio.run(ask(turns, late()))
    assert said(bad) == (500, "model 'late': loading raised Fault. See the service's own log")


class OddDoor(Door):
    """Cannot read one header."""

    def examine(self, headers: dict[bytes, bytes], request: Request) -> Refusal | None:
        if b"x-odd" in headers:
            raise Fault
        return super().examine(headers, request)


class OddLines(Turns):
    """Takes no call."""

    def ask(self, call: Call) -> None:
        del call
        raise Fault


class Untold(Counters):
    """Tells nobody."""

    def text(self) -> bytes:
        raise Fault


async def exchange(door: Door, served: InProcess, *requests: bytes) -> bytes:
    """What a connection answers to some requests, until it ends or all are answered."""
    config = uvicorn.Config(Application(door, served.router, Untold()), lifespan="off", ws="none", log_config=None)
    config.load()

    def connect() -> PredictionProtocol:
        return PredictionProtocol(door, config, ServerState(), {})

    async with await asyncio.get_running_loop().create_server(connect, "127.0.0.1", 0) as listening:
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        writer.write(b"".join(requests))
        found = b""
        while found.count(b"HTTP/1.1 ") < len(requests) and (data := await asyncio.wait_for(reader.read(1 << 16), 60)):
            found += data
        writer.close()
        return found


PREDICTION = b"POST /predict/late HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n%b\r\n%b"
ASKED = json.dumps({"rows": [ROW]}).encode()
SAYS = b'"error":"%b raised Fault. See the service\'s own log"'


def test_what_the_door_raises_is_answered_behind_what_was_asked_before(served: InProcess) -> None:
    sent = [PREDICTION % (len(ASKED), head, ASKED) for head in (b"", b"x-odd: 1\r\n")]
    answered = asyncio.run(exchange(OddDoor(served.turns), served, *sent))
    assert answered.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 500 Internal Server Error" in answered
    assert SAYS % b"request: reading" in answered


def test_a_request_that_cannot_be_put_into_a_line_holds_up_none_behind_it(served: InProcess) -> None:
    door = Door(OddLines(served.router, served.spool, served.counters))
    sent = PREDICTION % (len(ASKED), b"", ASKED)
    assert asyncio.run(exchange(door, served, sent, sent)).count(SAYS % b"request: reading") == 2


def test_what_is_described_is_refused_in_the_same_form(served: InProcess) -> None:
    answered = asyncio.run(exchange(Door(served.turns), served, b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n"))
    assert answered.startswith(b"HTTP/1.1 500 ")
    assert SAYS % b"/metrics: describing" in answered
