"""Whatever is asked of endpoints with fallbacks, to be explained, in time, in whatever form: it is answered, and that without a fault of ours."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from predicting import ROW, Packaged, Service

from kept.deployment.routing import Fallback, FallbackRule

KINDS = {"distance": "FP64", "hour": "INT64", "carrier": "BYTES", "express": "BOOL", "wind": "FP64"}
ENDPOINTS = {"safe": list(ROW), "kinds": ["distance", "wind"], "hours": ["distance", "wind"], "late": list(ROW)}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, packaged: dict[str, Packaged]) -> Iterator[Service]:
    made = Service(tmp_path_factory.mktemp("asked"), packaged)
    rule = FallbackRule(column="distance", operator="missing", answer=0.25)
    everything = Fallback(on=("error", "timeout", "range"), timeout_ms=2000)

    def arm(kind: str, number: int, **more: Any) -> Any:
        return msgspec.structs.replace(made.arm(kind, number), fallback=msgspec.structs.replace(everything, **more))

    made.route(
        safe=(arm("first", 1, rules=(rule,), constant=0.5), made.arm("second", 2, "standby", 0.0)),
        kinds=(arm("multiclass", 3, constant="early"),),
        hours=(arm("regression", 4, on=("error",), constant=12.0),),
        late=(made.arm("second", 5),),
    )
    yield made.start()
    assert made.stop() == 0


@pytest.fixture(scope="module")
def client(asked: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=asked.url, timeout=60) as made:
        yield made


fits = {
    "FP64": st.sampled_from([0, -0.0, 700.0, 1e308, -1e308, 5e-324, 2**53 + 1, 2**63, None]) | st.floats(0, 3000),
    "INT64": st.integers(0, 23) | st.sampled_from([-(2**63), 2**63 - 1]),
    "BYTES": st.sampled_from(["AA", "B6", "\0", "\u2028", "\U0001f600" * 300, "", None]),
    "BOOL": st.booleans() | st.none(),
}
others: st.SearchStrategy[Any] = st.sampled_from([10**400, 2**64, 1.5, "x", True, [], {}, None])
rare = {
    "timeout": st.sampled_from([1, 10**6, 2**63 - 1, 2**70, -1, 0, "1", None, 1.5]),
    "explain": st.sampled_from([True, False, "true", None, 1]),
    "keys": st.sampled_from([["a"], ["a", "b"], "a", [None], [1]]),
    "key": st.just("a"),
    "event_times": st.sampled_from([["2026-01-01T00:00:00Z"], ["9999-12-31T23:59:59Z"], ["0001-01-01T00:00:00+23:00"], [0], "now"]),
    "routing_key": st.sampled_from(["", "a", "\0", 1, None]),
    "binary_data_output": st.booleans(),
}  # fmt: skip
some = st.lists(st.sampled_from([*rare]), max_size=2)
more = some.flatmap(lambda names: st.fixed_dictionaries({name: rare[name] for name in names}))
strange = {
    "x-request-timeout-ms": st.sampled_from(["1", "50", "60000", "0", "1e3", "-1", ""]),
    "accept": st.just("application/xml"),
    "content-encoding": st.sampled_from(["identity", "gzip", ""]),
    "traceparent": st.sampled_from(["00-" + "a" * 32 + "-" + "b" * 16 + "-01", "x"]),
    "origin": st.just("http://elsewhere.example"),
}
headers: st.SearchStrategy[Any] = st.just({}) | st.sampled_from([*strange]).flatmap(
    lambda name: st.fixed_dictionaries({name: strange[name]})
)
queries = st.sampled_from(
    ["", "?explain=true", "?explain=true", "?explain=false", "?explain=1", "?explain=true&a=%ff", "?"]
)
row = st.fixed_dictionaries({name: fits[kind] for name, kind in KINDS.items()})
odd = st.tuples(row, st.sampled_from([*KINDS]), others).map(lambda drawn: {**drawn[0], drawn[1]: drawn[2]})
rows = st.lists(row, max_size=3) | st.lists(row, min_size=1, max_size=3) | st.lists(row | odd, max_size=3)
lenient = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def answered(answer: httpx.Response, *, in_time: bool) -> None:
    """It has an answer that can be read, and none that says we failed, but for want of the time that was given."""
    allowed = {200, 400, 403, 415, 422, 429} | ({503} if in_time else set())
    assert answer.status_code in allowed, answer.text
    size = int(answer.headers.get("inference-header-content-length", len(answer.content)))
    said = msgspec.json.decode(answer.content[:size])
    assert answer.status_code == 200 or said["error"]
    for row in said.get("explanations", {}).get("rows", []) if answer.status_code == 200 else []:
        for one in row.get("classes", {"": row}).values():
            assert one["base"] + sum(one["contributions"].values()) == pytest.approx(one["sum"], rel=1e-9, abs=1e-9)


@given(rows, st.sampled_from([*ENDPOINTS]), st.sampled_from(["predict", "invocations"]), more, headers, queries)
@lenient
def test_any_rows_are_answered_or_refused_with_a_reason(
    client: httpx.Client, given_rows: list[Any], name: str, way: str, more: Any, headers: Any, query: str
) -> None:
    sent = [{one: row[one] for one in ENDPOINTS[name]} for row in given_rows]
    body = more | ({"rows": sent} if way == "predict" else {"dataframe_records": sent})
    answer = client.post(
        f"/{way}/{name}{query}", content=json.dumps(body), headers={"content-type": "application/json", **headers}
    )
    answered(answer, in_time="timeout" in more or "x-request-timeout-ms" in headers)


@given(
    st.sampled_from([*ENDPOINTS]), st.integers(0, 3), st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([0] * 6 + [-9, -8, 8, 9]), more, headers, queries
)  # fmt: skip
@lenient
def test_any_tensors_are_answered_or_refused_with_a_reason(
    client: httpx.Client, name: str, count: int, seed: int, bits: bool, off: int, more: Any, headers: Any, query: str
) -> None:
    """Tensors of the right types whose elements are any bits, with sizes that are seldom wrong."""
    drawn = np.random.default_rng(seed)
    inputs, tail = [], b""
    for one in ENDPOINTS[name]:
        data = {
            "FP64": drawn.bytes(8 * count) if bits else drawn.uniform(0, 3000, count).tobytes(),
            "INT64": drawn.bytes(8 * count) if bits else drawn.integers(0, 24, count).tobytes(),
            "BOOL": drawn.bytes(count) if bits else drawn.integers(0, 2, count).astype(np.uint8).tobytes(),
            "BYTES": b"".join(b"\2\0\0\0" + (drawn.bytes(2) if bits else b"AA") for _ in range(count)),
        }[KINDS[one]]
        tail += data
        size = len(data) + (1 if off == 9 else 0)
        inputs.append({"name": one, "datatype": KINDS[one], "shape": [count], "parameters": {"binary_data_size": size}})
    head = json.dumps({"inputs": inputs, "parameters": more}).encode()
    sizes = {"inference-header-content-length": str(len(head) + (off if off in {-9, -8, 8} else 0))}
    answer = client.post(
        f"/v2/models/{name}/infer{query}",
        content=head + tail,
        headers={"content-type": "application/octet-stream", **sizes, **headers},
    )
    answered(answer, in_time="timeout" in more or "x-request-timeout-ms" in headers)


def test_all_is_well_afterwards(client: httpx.Client) -> None:
    assert client.post("/predict/safe?explain=true", json={"rows": [ROW]}).status_code == 200
