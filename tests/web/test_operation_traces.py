"""Operations that were asked for over HTTP are part of their sender's trace."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from litestar.testing import TestClient
from visiting import ADDRESS, Client

from kept.core.spans import Span, Traces
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.tracking.experiments import ensure_default_experiment
from kept.web.site import make_site

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ASKS = {
    "/api/v1/audit/list": b"{}",
    "/api/2.0/mlflow/runs/create": b'{"experiment_id": "0"}',
    "/api/2.0/mlflow/experiments/search": b'{"max_results": 1}',
}


class Told:
    """Keeps the spans that it is to carry."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.traces = Traces(self, share=0.0)

    def carry(self, spans: Sequence[Span]) -> bool:
        self.spans += spans
        return True


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def traced(workspace: Workspace, me: Actor, told: Told) -> Iterator[Client]:
    """A site that begins no trace of its own."""
    ensure_default_experiment(workspace)
    given = replace(workspace, traces=told.traces)
    with TestClient(make_site(given, me), base_url=ADDRESS, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("path", ASKS)
def test_the_senders_trace_is_gone_on_with_when_its_flag_says_so(traced: Client, told: Told, path: str) -> None:
    for header in (None, f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-01", "no header at all"):
        headers = {"content-type": "application/json"} | ({} if header is None else {"traceparent": header})
        assert traced.post(path, content=ASKS[path], headers=headers).status_code == 200
    told.traces.close()
    assert {f"{one.trace:032x}" for one in told.spans} == {TRACE}
    assert int(SPAN, 16) in {one.parent for one in told.spans}
    assert {one.parent for one in told.spans} <= {int(SPAN, 16), *(one.span for one in told.spans)}
