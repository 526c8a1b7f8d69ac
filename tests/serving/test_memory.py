"""Models under a limit of memory: put out when they are not asked for, and loaded again when they are."""

import asyncio
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import httpx
import msgspec
import polars as pl
import pytest
import uvicorn
from predicting import ROW, Packaged, Service
from uvicorn.server import ServerState

from kept.core.errors import Unavailable
from kept.deployment.routing import Arm, Role, Route, RoutingTable
from kept.packaging.bundle import read_bundle
from kept.serving import on_demand
from kept.serving.app import Application
from kept.serving.calls import Call
from kept.serving.counters import Counters, MemoryCounts
from kept.serving.door import Door
from kept.serving.http import PredictionProtocol
from kept.serving.local import FixedRoutes
from kept.serving.log import Spool
from kept.serving.memory import Memory, reckoned
from kept.serving.on_demand import TurnsOnDemand
from kept.serving.request import Request
from kept.serving.router import Router
from kept.serving.runtime import LoadedArm, LoadedModel, LoadedRoute

NUMBERS = {"distance": 700.0, "wind": 9.0}
BODIES = {"one": ROW, "two": ROW, "three": ROW | {"wind": 9.0}, "four": NUMBERS, "five": NUMBERS}
KINDS = {"one": "first", "two": "second", "three": "wider", "four": "regression", "five": "multiclass"}


@pytest.fixture
def models(packaged: dict[str, Packaged]) -> list[LoadedModel]:
    return [LoadedModel(packaged[kind].folder) for kind in ("first", "second", "wider")]


def route(name: str, *arms: tuple[LoadedModel, Role, float]) -> LoadedRoute:
    made = [
        LoadedArm(
            name,
            Arm(version_id=f"{number}", number=number, model=name, bundle=model.digest, role=role, weight=weight),
            model,
        )
        for number, (model, role, weight) in enumerate(arms, 1)
    ]
    return LoadedRoute(Route(endpoint=name, arms=tuple(loaded.arm for loaded in made)), made)


def here(model: LoadedModel) -> bool:
    try:
        model.predict([tuple({**ROW, "wind": 1.0}[name] for name in model.signature.names)])
    except Unavailable:
        return False
    return True


def test_the_one_not_asked_for_longest_is_put_out(models: list[LoadedModel]) -> None:
    first, second, third = models
    counts = MemoryCounts()
    memory = Memory(sum(map(reckoned, models)) - 1, counts)
    memory.put_in(first)
    memory.put_in(second)
    assert [here(model) for model in models] == [True, True, True]
    assert memory.take([first]) is None
    memory.give_back([first])
    memory.put_in(third)
    assert [here(model) for model in models] == [True, False, True]
    assert memory.take([first, second, third]) is second
    assert (counts.loaded, counts.evictions) == (2, 1)
    assert counts.bytes == reckoned(first) + reckoned(third)


def test_what_is_asked_stays_until_it_is_given_back_and_the_last_one_always(models: list[LoadedModel]) -> None:
    first, second, third = models
    memory = Memory(0, MemoryCounts())
    memory.put_in(first)
    assert memory.take([first]) is None
    assert memory.take([first]) is None
    memory.put_in(second)
    memory.give_back([first])
    assert [here(model) for model in models] == [True, True, True]
    memory.put_in(third)
    assert [here(model) for model in models] == [True, False, True]
    memory.give_back([first])
    assert [here(model) for model in models] == [False, False, True]


def test_routes_on_trial_keep_theirs_and_what_no_route_names_is_forgotten(
    models: list[LoadedModel], packaged: dict[str, Packaged]
) -> None:
    first, second, third = models
    counts = MemoryCounts()
    memory = Memory(0, counts)
    for model in (first, second):
        memory.put_in(model)
    trial = route("late", (first, "champion", 0.9), (second, "canary", 0.1))
    assert memory.settle([trial]) == [first]
    first.load_again(packaged["first"].folder)
    memory.put_in(first)
    memory.put_in(third)
    memory.settle([trial, route("other", (third, "champion", 1.0))])
    assert memory.take([first, second, third]) is None
    memory.give_back([first, second, third])
    # The last one that was asked for stays too.
    assert [here(model) for model in models] == [True, True, True]
    memory.settle([route("late", (second, "champion", 1.0))])
    assert counts.loaded == 1


@pytest.fixture
def crowded(service: Service) -> Iterator[Service]:
    """Five models, of which one has room."""
    service.settings["model_megabytes"] = "1"
    service.route(**{name: (service.arm(kind, number),) for number, (name, kind) in enumerate(KINDS.items(), 1)})
    yield service.start()
    assert service.stop() == 0


def ask(service: Service, name: str, **headers: str) -> httpx.Response:
    return httpx.post(f"{service.url}/predict/{name}", json={"rows": [BODIES[name]]}, headers=headers, timeout=60)


def counted(service: Service, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", httpx.get(f"{service.url}/metrics").text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_all_are_answered_by_their_own_model_whichever_is_in_memory(
    crowded: Service, packaged: dict[str, Packaged]
) -> None:
    assert counted(crowded, "kept_models_loaded") == 1
    wrong: list[str] = []

    def some(names: list[str]) -> None:
        for name in names:
            answer = ask(crowded, name)
            expected = packaged[KINDS[name]].expected(pl.DataFrame([BODIES[name]]))[0]
            if answer.status_code != 200 or answer.json()["version"] != [*KINDS].index(name) + 1:
                wrong.append(answer.text)
            elif name in {"one", "two", "three"}:
                wrong.extend([name] * (answer.json()["predictions"][0]["probability"] != pytest.approx(expected)))

    names = [*KINDS]
    threads = [threading.Thread(target=some, args=([*names[start:], *names[:start]] * 3,)) for start in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert counted(crowded, "kept_model_evictions_total") >= 5
    # What a model takes is told while it is out, and costs no load.
    before = counted(crowded, "kept_model_evictions_total")
    told = [httpx.get(f"{crowded.url}/v2/models/{name}").json() for name in names]
    assert [len(one["inputs"]) for one in told] == [4, 4, 5, 2, 2]
    assert ask(crowded, names[0]).status_code == 200
    malformed = httpx.post(f"{crowded.url}/predict/one", json={"rows": [{}]})
    assert (malformed.status_code, malformed.json()["where"]) == (400, "rows[0]")
    assert counted(crowded, "kept_model_evictions_total") <= before + 1


def hold_back(service: Service) -> tuple[Path, bytes]:
    """Has whoever loads the model of `one` wait until its bytes are written to the path."""
    digest = service.digests["first"].removeprefix("sha256:")
    shutil.rmtree(service.root / "serving" / "bundles" / digest)
    (blob,) = (path for path in (service.root / "blobs").rglob(f"*{digest[4:]}") if path.is_file())
    content = blob.read_bytes()
    blob.unlink()
    os.mkfifo(blob)
    return blob, content


def test_a_connection_is_not_read_on_while_much_waits_for_its_first_request(crowded: Service) -> None:
    assert ask(crowded, "two").status_code == 200
    blob, content = hold_back(crowded)
    body = msgspec.json.encode({"rows": [ROW]})
    head = "POST /predict/%s HTTP/1.1\r\nhost: localhost\r\nx-request-timeout-ms: 600000\r\ncontent-length: %d\r\n\r\n"
    first, then = ((head % (name, len(body))).encode() + body for name in ("one", "two"))
    with socket.create_connection(("127.0.0.1", crowded.port), timeout=60) as wire:
        wire.sendall(first)
        wire.setblocking(False)
        stream, sent, quiet = then * 100, 0, 0.0
        while quiet < 0.5 and sent < 64 << 20:
            try:
                sent += wire.send(stream[sent % len(stream) :])
                quiet = 0.0
            except BlockingIOError:
                time.sleep(0.02)
                quiet += 0.02
        assert quiet >= 0.5
        # When the first has its answer, so do the others.
        blob.write_bytes(content)
        wire.settimeout(60)
        wire.sendall(then[sent % len(then) :])
        with wire.makefile("rb") as answers:
            statuses = []
            for _ in range(2 + sent // len(then)):
                statuses.append(answers.readline()[9:12])
                while line := answers.readline().strip():
                    size = int(line.rpartition(b" ")[2]) if line.startswith(b"content-length") else 0
                answers.read(size)
    assert statuses[0] == b"200"
    assert set(statuses) <= {b"200", b"429"}


def test_a_load_that_takes_too_long_holds_up_nobody_else(crowded: Service) -> None:
    assert ask(crowded, "two").status_code == 200
    blob, content = hold_back(crowded)
    began = time.monotonic()
    late: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: late.append(ask(crowded, "one", **{"x-request-timeout-ms": "700"})))
    thread.start()
    while time.monotonic() - began < 0.5:
        assert ask(crowded, "two").status_code == 200
    thread.join()
    assert (late[0].status_code, late[0].headers["retry-after"]) == (503, "1")
    assert "could not be loaded in time" in late[0].json()["what"]
    assert time.monotonic() - began < 30
    blob.write_bytes(content)
    answer = ask(crowded, "one")
    assert (answer.status_code, answer.json()["version"]) == (200, 1)


def test_a_version_on_trial_stays_and_may_be_asked_by_its_number(crowded: Service) -> None:
    trial = (crowded.arm("first", 1, weight=0.5), crowded.arm("second", 2, "canary", 0.5))
    others = {"three": (crowded.arm("wider", 3),), "four": (crowded.arm("regression", 4),)}
    crowded.wait_for_revision(crowded.route(one=trial, **others))
    assert counted(crowded, "kept_models_loaded") >= 2
    for _ in range(3):
        assert [ask(crowded, name).status_code for name in ("three", "four")] == [200, 200]
    before = counted(crowded, "kept_model_evictions_total")
    assert counted(crowded, "kept_models_loaded") == 3
    for number in (1, 2):
        tensors = [
            {"name": name, "shape": [1], "datatype": datatype, "data": [ROW[name]]}
            for name, datatype in zip(ROW, ("FP64", "INT64", "BYTES", "BOOL"), strict=True)
        ]
        answer = httpx.post(f"{crowded.url}/v2/models/one/versions/{number}/infer", json={"inputs": tensors})
        assert answer.json()["model_version"] == str(number)
    # Asking them makes nothing be loaded; what was asked last before may go now.
    assert counted(crowded, "kept_model_evictions_total") <= before + 1


class HeldBack(FixedRoutes):
    """Gives no bundle while it is told to wait."""

    going: Event

    def folder(self, digest: str, *, again: bool = False) -> Path:
        self.going.wait(60)
        return super().folder(digest, again=again)


@pytest.fixture
def held_back(packaged: dict[str, Packaged], tmp_path: Path) -> Iterator[TurnsOnDemand]:
    """Two models, of which one has room; the one that is out, `four`, comes in when it may."""
    counters, counts = Counters(), MemoryCounts()
    memory = Memory(0, counts)
    folders = {
        read_bundle(packaged[KINDS[name]].folder).digest: packaged[KINDS[name]].folder for name in ("four", "two")
    }
    arms = {
        name: Arm(version_id=name, number=1, model=name, bundle=digest)
        for name, digest in zip(("four", "two"), folders, strict=True)
    }
    table = RoutingTable(
        revision=1, routes=tuple(Route(endpoint=name, arms=(arm,), revision=1) for name, arm in arms.items())
    )
    keeper = HeldBack(table, folders)
    keeper.going = Event()
    keeper.going.set()
    router = Router(keeper, counters, memory=memory)
    assert router.apply(table)
    keeper.going.clear()
    spool = Spool(tmp_path / "spool")
    yield TurnsOnDemand(router, spool, counters, memory)
    keeper.going.set()
    spool.close()


@pytest.mark.parametrize("of", ["head", "body", "nobody"])
def test_the_time_that_a_call_has_is_for_all_that_it_waits_for(
    held_back: TurnsOnDemand, of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_demand, "_PATIENCE", 900.0)

    async def asked() -> Call:
        done = asyncio.get_running_loop().create_future()
        request = Request("four", "rows")
        request.timeout_us = 900_000_000 if of == "head" else 0
        body = msgspec.json.encode({"rows": [NUMBERS], "timeout": 900_000_000 if of == "body" else 0})
        call = Call(request, body, len(body), done.set_result)
        # It has waited for another one before.
        call.started -= 899_900_000_000
        held_back.ask(call)
        return await asyncio.wait_for(done, 60)

    call = asyncio.run(asked())
    assert call.status == 503
    assert "could not be loaded in time" in str(call.error) or "deadline" in str(call.error)


def test_what_still_waits_when_the_service_ends_is_told_so(held_back: TurnsOnDemand) -> None:
    body = msgspec.json.encode({"rows": [NUMBERS]})
    sent = b"POST /predict/four HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)

    async def asked() -> bytes:
        door, counters = Door(held_back), Counters()
        beside = Application(door, Router(FixedRoutes(RoutingTable(revision=1, routes=()), {}), counters), counters)
        config = uvicorn.Config(beside, lifespan="off", ws="none", log_config=None)
        config.load()
        loop = asyncio.get_running_loop()
        connection = PredictionProtocol(door, config, ServerState(), {})
        async with await loop.create_server(lambda: connection, "127.0.0.1", 0) as listening:
            reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
            writer.write(sent * 2)
            while connection.is_idle:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
            connection.shutdown()
            connection.give_up()
            answered = await asyncio.wait_for(reader.read(), 60)
            writer.close()
            return answered

    answers = asyncio.run(asked())
    assert answers.count(b"HTTP/1.1 503 ") == answers.count(b"the service ends") / 2 == 2
    assert answers.count(b"connection: close") == 1
