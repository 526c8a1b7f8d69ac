"""No input makes the service answer 5xx or hang, and both forms read the same values."""

import contextlib
import json
import re
import socket
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from predicting import ROW, Service

from kept.core.errors import Invalid
from kept.packaging.signature import Field, Signature
from kept.serving.protocol.rows import RowsReader
from kept.serving.protocol.tensors import TensorsReader

SIGNATURE = Signature(
    inputs=(
        Field(name="distance", kind="number"),
        Field(name="hour", kind="integer", nullable=False),
        Field(name="a carrier's code", kind="category", categories=("AA", "B6")),
        Field(name="express", kind="boolean"),
        Field(name="gate", kind="category", categories=(1, 2)),
    ),
    task="binary",
    classes=("no", "yes"),
)
TYPES = ["FP64", "INT64", "BYTES", "BOOL", "INT64"]
names = st.sampled_from(
    ["rows", "inputs", "name", "shape", "datatype", "data", "distance", "hour", "carrier", "express", "features", "keys",
     "event_time", "parameters", "outputs", "FP64", "routing_key"]
)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
rows = st.lists(
    st.tuples(
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.integers(-(2**63), 2**63 - 1),
        st.none() | st.text(max_size=4),
        st.none() | st.booleans(),
        st.none() | st.integers(0, 5),
    ),
    min_size=1,
    max_size=4,
)


@given(st.dictionaries(names, json_values, max_size=5), st.sampled_from(["/predict/late", "/v2/models/late/infer"]))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_json_is_answered_without_a_fault_of_ours(
    running: Service, client: httpx.Client, body: Any, path: str
) -> None:
    answer = client.post(running.url + path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code in {200, 400}, answer.text


@pytest.fixture(scope="module")
def client() -> Any:
    with httpx.Client() as made:
        yield made


@given(
    st.dictionaries(names | st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs", "params", "columns"]),
                    json_values, max_size=4),
    st.sampled_from(["/invocations/late", "/predict/kinds", "/v2/models/kinds/infer", "/invocations/hours"]),
)  # fmt: skip
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_json_in_the_other_forms(running: Service, client: httpx.Client, body: Any, path: str) -> None:
    answer = client.post(running.url + path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code in {200, 400, 422}, answer.text


cells = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(
    ["", "1", "nan", "inf", "-1e999", "true", "1_0", '"', '"AA"', "9" * 400, "0x1"]
)


@given(st.lists(st.lists(cells, min_size=4, max_size=4), max_size=4), st.sampled_from([",", ";", "\n", "\r"]))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_csv(running: Service, client: httpx.Client, lines: list[list[str]], between: str) -> None:
    text = "\n".join(["distance,hour,carrier,express", *(between.join(line) for line in lines)])
    headers = {"content-type": "text/csv"}
    answer = client.post(f"{running.url}/invocations/late", content=text.encode(), headers=headers)
    assert answer.status_code in {200, 400, 422}, answer.text


datatypes = st.sampled_from(["FP64", "FP32", "FP16", "BF16", "INT8", "INT64", "UINT64", "BOOL", "BYTES", "FP8", ""])


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*ROW, "features"]), datatypes, st.lists(st.integers(-2, 2**62), max_size=3) | st.just([1]),
            st.binary(max_size=24), st.integers(-5, 5),
        ),
        max_size=5,
    ),
    st.sampled_from(["late", "kinds"]),
    st.integers(-3, 3),
)  # fmt: skip
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_tensors_as_bytes(running: Service, client: httpx.Client, tensors: list[Any], model: str, off: int) -> None:
    inputs = [
        {
            "name": name,
            "datatype": datatype,
            "shape": shape,
            "parameters": {"binary_data_size": len(data) + (wrong == 5)},
        }
        for name, datatype, shape, data, wrong in tensors
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    headers = {"inference-header-content-length": str(len(head) + (off if off in {-3, 3} else 0))}
    content = head + b"".join(tensor[3] for tensor in tensors)
    answer = client.post(f"{running.url}/v2/models/{model}/infer", content=content, headers=headers)
    assert answer.status_code in {200, 400, 422}, answer.text


GOOD = (
    b'POST /predict/late HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 75\r\n\r\n'
    b'{"rows": [{"distance": 1.0, "hour": 8, "carrier": "AA", "express": true}]}\n'
)  # fmt: skip
pieces = st.sampled_from(
    [b"\r\n", b"\n", b"\0", b" ", b":", b"%00", b"HTTP/1.0", b"HTTP/2.0", b"GET", b"transfer-encoding: chunked\r\n", b"?a=b",
     b"content-length: 5\r\n", b"connection: upgrade\r\nupgrade: websocket\r\n", b"expect: 100-continue\r\n", b"/../", b"\xff",
     b"inference-header-content-length: 3\r\n", b"/versions/1", b"x-request-timeout-ms: 1\r\n", b"0\r\n\r\n", b"ffffffff\r\n"]
)  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 12), pieces | st.binary(max_size=8)), max_size=4))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_bytes_come_none_is_the_fault_of_the_service(
    running: Service, client: httpx.Client, changes: list[tuple[int, int, bytes]]
) -> None:
    sent = GOOD
    for place, dropped, added in changes:
        sent = sent[:place] + added + sent[place + dropped :]
    said = b""
    with (
        socket.create_connection(("127.0.0.1", running.port), timeout=60) as wire,
        contextlib.suppress(ConnectionError),
    ):
        wire.sendall(sent + GOOD)
        wire.shutdown(socket.SHUT_WR)
        while data := wire.recv(65536):
            said += data
    statuses = re.findall(rb"HTTP/1\.1 (\d+)", said)
    assert not [status for status in statuses if status.startswith(b"5")], said
    assert client.post(f"{running.url}/predict/late", json={"rows": [ROW]}).status_code == 200


@given(rows)
def test_both_forms_read_the_same_values(values: list[tuple[Any, ...]]) -> None:
    plain = json.dumps({"rows": [dict(zip(SIGNATURE.names, row, strict=True)) for row in values]}).encode()
    assert [tuple(row) for row in RowsReader(SIGNATURE).read(plain).values] == values
    tensors = [
        {"name": name, "datatype": datatype, "shape": shape, "data": data}
        for shape in ([len(values)], [len(values), 1])
        for name, datatype, data in zip(SIGNATURE.names, TYPES, map(list, zip(*values, strict=True)), strict=True)
    ]
    for inputs in (tensors[:5], tensors[5:]):
        body = json.dumps({"inputs": inputs}).encode()
        assert TensorsReader(SIGNATURE, ("probability",)).read(body).values == values


def test_names_that_need_escapes_are_read_too() -> None:
    signature = Signature(inputs=(Field(name='a "quoted" name', kind="number"),), task="regression")
    reader = RowsReader(signature)
    assert [tuple(row) for row in reader.read(b'{"rows": [{"a \\"quoted\\" name": 1.5}]}').values] == [(1.5,)]
    with pytest.raises(Invalid, match="must be a number"):
        reader.read(b'{"rows": [{"a \\"quoted\\" name": "x"}]}')


def test_a_matrix_may_hold_no_null_where_a_field_must_not() -> None:
    signature = Signature(
        inputs=(Field(name="a", kind="number"), Field(name="b", kind="integer", nullable=False)), task="regression"
    )
    reader = TensorsReader(signature, ("prediction",))
    body = {"inputs": [{"name": "features", "datatype": "FP64", "shape": [1, 2], "data": [None, 3]}]}
    assert [tuple(row) for row in reader.read(json.dumps(body).encode()).values] == [(None, 3)]
    for bad, said in (([1, None], "'b' must not be null"), ([1, 2.5], "expected a whole number, found 2.5")):
        body["inputs"][0]["data"] = bad
        with pytest.raises(Invalid, match=said):
            reader.read(json.dumps(body).encode())
