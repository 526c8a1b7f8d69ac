"""No input makes the service answer 5xx or hang, and both forms read the same values."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from predicting import Service

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
