"""What is answered in place of a version that fails, is late, or is asked about what it never learned."""

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from predicting import ROW, Packaged, Service

from kept.core.clock import SystemClock
from kept.deployment.routing import Arm, Fallback, FallbackRule, Operator, Route, RoutingTable
from kept.packaging.signature import Field, Signature
from kept.serving.calls import Call
from kept.serving.counters import Counters
from kept.serving.fallbacks import Ranges
from kept.serving.local import FixedRoutes
from kept.serving.log import Spool
from kept.serving.request import Request
from kept.serving.router import Router
from kept.serving.rules import Rules, constant_score, holds
from kept.serving.runtime import LoadedModel
from kept.serving.shipping import Shipper
from kept.serving.turns import Turns
from kept.store.tables import DeltaTables

FAR = ROW | {"distance": 90_000.0}


class Failing(LoadedModel):
    """A model that raises once it is told to."""

    broken = False

    def predict(self, values: Sequence[Sequence[Any]]) -> NDArray[np.float64] | list[Any]:
        if self.broken:
            raise RuntimeError("no memory left")
        return super().predict(values)


class Slow(LoadedModel):
    """A model that takes its time once it is told to."""

    seconds = 0.0

    def predict(self, values: Sequence[Sequence[Any]]) -> NDArray[np.float64] | list[Any]:
        time.sleep(self.seconds)
        return super().predict(values)


class InProcess:
    """The turns of a service without its door, whose route's models can be changed."""

    def __init__(self, root: Path, packaged: dict[str, Packaged], *arms: Arm) -> None:
        folders = {f"sha256:{kind}": made.folder for kind, made in packaged.items()}
        fixed = FixedRoutes(RoutingTable(revision=1, routes=(Route(endpoint="late", arms=arms),)), folders)
        self.root, self.counters, self.spool = root, Counters(), Spool(root / "spool")
        self.router = Router(fixed, self.counters)
        self.router._load_model = lambda arm: LoadedModel(folders[arm.bundle])  # type: ignore[method-assign]
        assert self.router.apply(fixed.current(None) or RoutingTable(revision=0, routes=()))
        self.turns = Turns(self.router, self.spool, self.counters)

    async def ask(self, *rows: dict[str, Any]) -> Call:
        answered: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        body = json.dumps({"rows": rows}).encode()
        self.turns.ask(Call(Request("late", "rows"), body, len(body), answered.set_result))
        return await answered

    def shipped(self, table: str) -> pl.DataFrame:
        self.spool.close()
        tables = DeltaTables(self.root / "tables")
        Shipper(self.root / "spool", tables, SystemClock()).ship()
        return tables.read(f"{table}/late").collect()


def arm(kind: str, number: int, role: str = "champion", fallback: Fallback | None = None) -> Arm:
    weight = 1.0 if role == "champion" else 0.0
    given = {"role": role, "weight": weight, "bundle": f"sha256:{kind}", "version_id": f"v{number}"}
    return msgspec.convert(
        {**given, "number": number, "model": "late", "fallback": fallback}, Arm, from_attributes=True
    )


def ask(service: Service, row: dict[str, Any]) -> dict[str, Any]:
    answer = httpx.post(f"{service.url}/predict/late", json={"rows": [row]})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_outside_of_the_training_the_version_before_answers_and_says_so(
    service: Service, packaged: dict[str, Packaged]
) -> None:
    champion = msgspec.structs.replace(service.arm("wider", 2), fallback=Fallback(on=("range",), constant=0.25))
    service.route(late=(champion, service.arm("first", 1, "standby", 0.0)))
    service.start()
    usual = ask(service, ROW | {"wind": 10.0})
    assert ("fallback" in usual, usual["version"]) == (False, 2)
    stormy = ask(service, ROW | {"wind": 400.0})
    assert stormy["version"] == 1
    assert stormy["fallback"].startswith("range: wind is 400.0, and training saw ")
    expected = packaged["first"].expected(pl.DataFrame([ROW]))[0]
    assert stormy["predictions"][0]["probability"] == pytest.approx(expected, abs=1e-12)
    # Beyond what either has seen, no model is asked.
    far = ask(service, FAR | {"wind": 10.0, "carrier": "ZZ"})
    assert (far["version"], far["predictions"][0]["probability"]) == (0, 0.25)
    metrics = httpx.get(f"{service.url}/metrics").text
    assert 'kept_predictions_total{endpoint="late",role="fallback",version="1"} 1.0' in metrics
    assert 'kept_predictions_total{endpoint="late",role="constant",version="0"} 1.0' in metrics


def test_the_protocol_carries_the_reason_as_a_parameter(service: Service) -> None:
    champion = msgspec.structs.replace(service.arm("first", 1), fallback=Fallback(on=("range",), constant="true"))
    service.route(late=(champion,))
    service.start()
    inputs = [
        {"name": "distance", "shape": [1], "datatype": "FP64", "data": [90_000.0]},
        {"name": "hour", "shape": [1], "datatype": "INT64", "data": [8]},
        {"name": "carrier", "shape": [1], "datatype": "BYTES", "data": ["AA"]},
        {"name": "express", "shape": [1], "datatype": "BOOL", "data": [True]},
    ]
    answer = httpx.post(f"{service.url}/v2/models/late/infer", json={"inputs": inputs}).json()
    assert answer["parameters"]["fallback"].startswith("range: distance is 90000.0")
    assert answer["outputs"][0]["data"] == [1.0]


def test_a_failure_is_answered_by_the_version_before_and_counts_as_the_failing_ones(
    tmp_path: Path, packaged: dict[str, Packaged]
) -> None:
    world = InProcess(tmp_path, packaged, arm("second", 2, fallback=Fallback(constant=0.5)), arm("first", 1, "standby"))

    async def talk() -> tuple[Call, Call, Call]:
        route = world.router.routes["late"]
        failing = route.champion.model = Failing(packaged["second"].folder)
        before = await world.ask(ROW)
        failing.broken = True
        after = await world.ask(ROW, ROW)
        assert route.standby is not None
        return before, after, await world.ask(FAR)

    before, after, _ = asyncio.run(talk())
    assert b"fallback" not in before.answer
    answer = json.loads(after.answer)
    assert (after.status, answer["version"]) == (200, 1)
    assert answer["fallback"].startswith("error: version 2 of late: the model raised RuntimeError")
    rows = world.shipped("predictions").sort("received_at")
    assert rows["role"].to_list() == ["champion", "fallback", "fallback", "fallback"]
    assert rows["version_id"].to_list() == ["v2", "v1", "v1", "v1"]
    missed = world.shipped("prediction_errors").sort("received_at")
    assert missed["version_id"].to_list() == ["v2", "v2"]
    assert missed["status"].to_list() == [500, 500]
    assert missed["id"][0] == after.ids[0]


def test_a_version_that_is_late_is_left_alone_for_a_while(tmp_path: Path, packaged: dict[str, Packaged]) -> None:
    fallback = Fallback(on=("timeout",), previous=False, constant=0.125, timeout_ms=500.0)
    world = InProcess(tmp_path, packaged, arm("first", 1, fallback=fallback))

    async def talk() -> list[Call]:
        slow = world.router.routes["late"].champion.model = Slow(packaged["first"].folder)
        calls = [await world.ask(ROW)]
        slow.seconds = 0.8
        return calls + [await world.ask(ROW) for _ in range(20)]

    calls = asyncio.run(talk())
    marked = [call for call in calls if b'"fallback":"timeout: the last prediction took ' in call.answer]
    assert len(marked) == 19
    assert {call.status for call in calls} == {200}
    assert world.shipped("prediction_errors")["status"].to_list() == [504] * 19


def test_without_anything_to_fall_back_to_the_error_is_answered(tmp_path: Path, packaged: dict[str, Packaged]) -> None:
    world = InProcess(tmp_path, packaged, arm("first", 1, fallback=Fallback(on=("error", "range"))))

    async def talk() -> tuple[Call, Call]:
        failing = world.router.routes["late"].champion.model = Failing(packaged["first"].folder)
        far = await world.ask(FAR)
        failing.broken = True
        return far, await world.ask(ROW)

    far, failed = asyncio.run(talk())
    assert (far.status, b"fallback" in far.answer) == (200, False)
    assert failed.status == 500


def test_a_slow_shadow_holds_up_no_answer_and_is_dropped_when_it_lags(
    tmp_path: Path, packaged: dict[str, Packaged], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kept.serving.shadows._MOST_WAITING", 40)
    world = InProcess(tmp_path, packaged, arm("first", 1), arm("second", 2, "shadow"))

    async def talk() -> float:
        slow = world.router.routes["late"].shadows[0].model = Slow(packaged["second"].folder)
        slow.seconds = 0.5
        began = time.perf_counter()
        for _ in range(100):
            assert (await world.ask(ROW)).status == 200
        took = time.perf_counter() - began
        slow.seconds = 0.0
        for _ in range(1_200):
            if world.counters.of("late", "2", "shadow").requests.get(200, 0) >= 40:
                break
            await asyncio.sleep(0.05)
        return took

    took = asyncio.run(talk())
    # Asked in the answers' own thread the shadow would have taken 50 seconds.
    assert took < 25
    rows = world.shipped("predictions")
    copies = rows.filter(pl.col("role") == "shadow")
    assert world.counters.shadows_dropped == 100 - copies.height > 0
    assert copies.height >= 40
    assert set(copies["answer_id"]) <= set(rows.filter(pl.col("role") == "champion")["id"])


FAR_FIRST = (
    FallbackRule(column="distance", operator=">", value=50_000.0, answer=0.75),
    FallbackRule(column="carrier", operator="in", value=("ZZ", "YY"), answer="true"),
    FallbackRule(column="distance", operator=">", value=1.0, answer=0.5),
)


def test_the_first_rule_that_holds_answers_each_row_and_is_marked_logged_and_counted(
    tmp_path: Path, packaged: dict[str, Packaged]
) -> None:
    fallback = Fallback(on=("error", "range"), rules=FAR_FIRST, constant=0.125)
    world = InProcess(tmp_path, packaged, arm("first", 1, fallback=fallback))
    strange, nowhere = ROW | {"carrier": "ZZ"}, ROW | {"carrier": "??", "distance": None}

    async def talk() -> list[Call]:
        usual, several = await world.ask(ROW), await world.ask(FAR, strange, nowhere)
        return [usual, several, await world.ask(nowhere)]

    usual, several, none = asyncio.run(talk())
    assert b"fallback" not in usual.answer
    answer = json.loads(several.answer)
    assert [one["probability"] for one in answer["predictions"]] == [0.75, 1.0, 0.125]
    assert (answer["version"], answer["fallback"][:6]) == (0, "range:")
    assert json.loads(none.answer)["predictions"][0]["probability"] == 0.125
    rows = world.shipped("predictions").sort("received_at")
    assert rows["role"].to_list() == ["champion", *["rule"] * 3, "constant"]
    assert rows["version_id"].to_list() == ["v1", "", "", "", ""]
    assert world.shipped("prediction_errors")["version_id"].to_list() == ["v1", "v1"]
    told = world.counters.text().decode()
    for role in ("rule", "constant"):
        assert f'kept_fallbacks_total{{endpoint="late",reason="range",role="{role}",version="1"}} 1.0' in told


def test_a_row_that_nothing_is_declared_for_keeps_its_error(tmp_path: Path, packaged: dict[str, Packaged]) -> None:
    world = InProcess(tmp_path, packaged, arm("first", 1, fallback=Fallback(previous=False, rules=FAR_FIRST[:2])))

    async def talk() -> tuple[Call, Call]:
        failing = world.router.routes["late"].champion.model = Failing(packaged["first"].folder)
        failing.broken = True
        return await world.ask(FAR), await world.ask(FAR, ROW)

    both, one = asyncio.run(talk())
    assert both.status == 200
    assert one.status == 500


@pytest.mark.parametrize(
    ("operator", "value", "yes", "no"),
    [
        ("<", 2.0, [1, 1.5, False], [2, 3.0, None, "1", float("nan")]),
        ("<=", 2.0, [2, 1.0], [2.5, None]),
        (">", 2.0, [3], [2, None, "3"]),
        (">=", 2.0, [2, 3], [1, None]),
        ("==", "AA", ["AA"], ["BB", 1, None]),
        ("!=", "AA", ["BB"], ["AA", None]),
        ("in", (1.0, 2.0), [1, 2.0], [3, None, "1"]),
        ("missing", None, [None], [0, "", False]),
    ],
)
def test_a_condition_holds_for_values_that_meet_it_and_for_no_missing_one(
    operator: Operator, value: Any, yes: list[Any], no: list[Any]
) -> None:
    rule = FallbackRule(column="x", operator=operator, value=value, answer=1.0)
    assert [holds(rule, one) for one in yes] == [True] * len(yes)
    assert [holds(rule, one) for one in no] == [False] * len(no)


def test_a_rule_that_a_version_cannot_follow_is_left_out() -> None:
    signature = Signature(inputs=(Field(name="x", kind="number"),), task="regression")
    rules = (
        FallbackRule(column="gone", operator="missing", answer=1.0),
        FallbackRule(column="x", operator=">", value=0.0, answer="class"),
        FallbackRule(column="x", operator=">", value=1.0, answer=7.0),
    )
    found = Rules(signature, Fallback(rules=rules))
    assert [found.scores([(value,)]) for value in (2.0, 0.5)] == [[7.0], None]


def test_constants_are_scores_that_the_model_could_give() -> None:
    inputs = (
        Field(name="x", kind="number", minimum=0.0, maximum=1.0),
        Field(name="c", kind="category", categories=(1, 2)),
    )
    binary = Signature(inputs=inputs, task="binary", classes=(False, True))
    several = Signature(inputs=inputs, task="multiclass", classes=("a", "b", "c"))
    number = Signature(inputs=inputs, task="regression")
    assert [constant_score(binary, one) for one in (0.3, "true", "false", "maybe", 2.0)] == [0.3, 1.0, 0.0, None, None]
    assert [constant_score(several, one) for one in ("b", 0.3)] == [[0.0, 1.0, 0.0], None]
    assert [constant_score(number, one) for one in (-4.0, "b")] == [-4.0, None]
    ranges = Ranges(binary)
    assert ranges.outside([(0.0, 1), (None, None), (1.0, 2)]) == ""
    assert ranges.outside([(0.5, 1), (1.5, 1)]) == "x is 1.5, and training saw 0 to 1"
    assert ranges.outside([(0.5, 3)]) == "c is 3, which training did not see"
