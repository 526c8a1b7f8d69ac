"""Spans on their way out: who decides, what is dropped, and that nobody waits."""

import threading
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.core.spans import Context, Span, Traces, new_span, now

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Gone:
    """A collector that can be away, or answer nothing for a while."""

    def __init__(self) -> None:
        self.away = False
        self.answers = threading.Event()
        self.answers.set()
        self.got: list[Span] = []

    def carry(self, spans: Sequence[Span]) -> bool:
        self.answers.wait(60)
        if self.away:
            raise ConnectionError("nobody is there")
        self.got += spans
        return True


def span(name: str = "work") -> Span:
    return Span(name=name, trace=1, span=new_span(), start=now(), end=now(), facts={})


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (f"00-{TRACE}-{PARENT}-01", Context(int(TRACE, 16), int(PARENT, 16))),
        (f"00-{TRACE}-{PARENT}-03", Context(int(TRACE, 16), int(PARENT, 16))),
        (f"cc-{TRACE}-{PARENT}-01-later", Context(int(TRACE, 16), int(PARENT, 16))),
        (f"00-{TRACE}-{PARENT}-00", None),
    ],
)
def test_who_asks_decides(header: str, found: Context | None) -> None:
    for share in (0.0, 1.0):
        assert Traces(Gone(), share).sampled(header.encode()) == found


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-1",
    ],
)
def test_a_header_that_cannot_be_read_begins_a_trace_by_chance(header: str) -> None:
    assert Traces(Gone(), 0.0).sampled(header.encode()) is None
    found = Traces(Gone(), 1.0).sampled(header.encode())
    assert found is not None
    assert found.trace != int(TRACE, 16)
    assert found.span == 0


@given(st.binary(max_size=80))
def test_no_header_is_a_fault(header: bytes) -> None:
    Traces(Gone(), 0.5).sampled(header)


def test_about_the_share_is_sampled() -> None:
    traces = Traces(Gone(), 0.2)
    assert 300 < sum(traces.sampled() is not None for _ in range(2_000)) < 500


def test_spans_arrive_in_order_and_the_rest_when_it_ends() -> None:
    collector = Gone()
    traces = Traces(collector)
    told = [span(str(number)) for number in range(1_300)]
    for one in told:
        traces.tell(one)
    traces.close()
    assert [one.name for one in collector.got] == [one.name for one in told]
    assert traces.dropped == 0


def test_a_collector_that_hangs_holds_nobody_up_and_what_it_cannot_take_is_dropped() -> None:
    collector = Gone()
    collector.answers.clear()
    traces = Traces(collector)
    began = time.thread_time()
    for _ in range(50_000):
        traces.tell(span())
    assert time.thread_time() - began < 5
    assert traces.dropped > 50_000 - 8_192 - 512 - 1
    began = time.monotonic()
    traces.close(0.1)
    assert time.monotonic() - began < 30
    collector.answers.set()


def test_a_collector_that_comes_back_gets_what_comes_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kept.core.spans._EVERY_SECONDS", 0.02)
    collector = Gone()
    collector.away = True
    traces = Traces(collector)
    for _ in range(100):
        traces.tell(span("lost"))
    for _ in range(6_000):
        if traces.dropped:
            break
        time.sleep(0.01)
    assert traces.dropped == 100
    collector.away = False
    traces.tell(span("kept"))
    for _ in range(6_000):
        if collector.got:
            break
        time.sleep(0.01)
    traces.close()
    assert [one.name for one in collector.got] == ["kept"]
