"""Requests as a collector sees them: a real one, over OTLP."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from predicting import ROW, Service

from kept.core.errors import Invalid
from kept.settings.settings import Settings
from kept.settings.tracing import traces_of
from otlp_receiver import Collector, collecting, facts
from waiting import free_ports

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
STAGES = ["queue", "read", "model", "log", "answer"]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture
def traced(service: Service, collector: Collector) -> Service:
    service.settings = {
        "traces_url": f"{collector.url}/",
        "traces_share": "0",
        "traces_headers": "X-Key=secret other=two",
    }
    return service


def header(flag: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{TRACE}-{PARENT}-{flag}"}


def test_a_request_is_a_span_of_its_senders_trace_with_its_stages(traced: Service, collector: Collector) -> None:
    traced.start()
    before = time.time_ns()
    answer = httpx.post(f"{traced.url}/predict/late", json={"rows": [ROW, ROW]}, headers=header())
    asgi = httpx.post(
        f"{traced.url}/predict/%6cate", json={"rows": [ROW]}, headers=header() | {"Expect": "100-continue"}
    )
    bad = httpx.post(f"{traced.url}/predict/late", json={"rows": [{}]}, headers=header())
    httpx.post(f"{traced.url}/predict/late", json={"rows": [ROW]}, headers=header("00"))
    httpx.post(f"{traced.url}/predict/late", json={"rows": [ROW]})
    assert (answer.status_code, asgi.status_code, bad.status_code) == (200, 200, 400)
    spans = collector.wait(lambda found: len(found) >= 3)
    assert traced.stop() == 0
    assert len(collector.spans) == 3
    first = spans[0]
    assert (first.name, first.trace_id.hex(), first.parent_span_id.hex()) == ("predict late", TRACE, PARENT)
    assert first.kind == first.SPAN_KIND_SERVER
    assert before < first.start_time_unix_nano < first.end_time_unix_nano < time.time_ns()
    found = facts(first.attributes)
    assert found.pop("kept.prediction_id") == answer.json()["predictions"][0]["id"]
    assert found == {
        "kept.endpoint": "late",
        "kept.rows": 2,
        "http.response.status_code": 200,
        "kept.version": 1,
        "kept.model": "late",
        "kept.role": "champion",
    }
    assert [one.name for one in first.events] == STAGES
    times = [one.time_unix_nano for one in first.events]
    assert times == sorted(times)
    assert first.start_time_unix_nano <= times[0]
    assert times[-1] <= first.end_time_unix_nano
    assert all(facts(one.attributes)["kept.microseconds"] >= 0 for one in first.events)
    failed = next(one for one in spans if facts(one.attributes)["http.response.status_code"] == 400)
    assert ([one.name for one in failed.events], failed.status.code) == (["queue"], 0)
    assert len({one.span_id for one in spans}) == 3
    assert collector.resources[0]["service.name"] == "kept-serve"
    assert collector.headers[0]["x-key"] == "secret"


def test_over_grpc_too(traced: Service, collector: Collector) -> None:
    grpc: Any = pytest.importorskip("grpc", reason="kept[grpc] is not installed")
    from test_grpc import asked  # noqa: PLC0415 - it needs the package that is asked for above

    port = free_ports()
    traced.settings["grpc_port"] = str(port)
    traced.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        infer(asked().SerializeToString(), metadata=list(header().items()), timeout=60)
    found = collector.wait(bool)[0]
    assert found.trace_id.hex() == TRACE
    assert [one.name for one in found.events] == STAGES


def test_a_share_of_the_others_begins_traces_of_its_own(traced: Service, collector: Collector) -> None:
    traced.settings["traces_share"] = "0.5"
    traced.start()
    with httpx.Client(base_url=traced.url) as client:
        for _ in range(100):
            client.post("/predict/late", json={"rows": [ROW]})
    assert traced.stop() == 0
    assert 25 < len(collector.spans) < 75
    assert len({one.trace_id for one in collector.spans}) == len(collector.spans)
    assert {one.parent_span_id for one in collector.spans} == {b""}


def test_a_collector_that_is_away_costs_no_request(traced: Service) -> None:
    traced.settings |= {"traces_url": f"http://127.0.0.1:{free_ports()}", "traces_share": "1"}
    traced.start()
    with httpx.Client(base_url=traced.url) as client:
        for _ in range(200):
            assert client.post("/predict/late", json={"rows": [ROW]}).status_code == 200
    began = time.monotonic()
    assert traced.stop() == 0
    assert time.monotonic() - began < 30


def test_where_no_collector_is_named_nothing_of_it_is_loaded(service: Service) -> None:
    service.start()
    httpx.post(f"{service.url}/predict/late", json={"rows": [ROW]}, headers=header())
    # The process says so itself when it ends.
    assert service.stop() == 0
    assert traces_of(Settings(), "kept") is None


def test_headers_are_named() -> None:
    with pytest.raises(Invalid, match="no header"):
        traces_of(Settings(traces_url="http://127.0.0.1:1", traces_headers="secret"), "kept")
