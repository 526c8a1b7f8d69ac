"""Bodies of nothing but numbers are read in one pass, and as all other bodies are."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.core.errors import Invalid
from kept.packaging.signature import Field, Signature
from kept.serving.calls import Call, values_of
from kept.serving.logged_tensors import LoggedTensors
from kept.serving.protocol.number_rows import NumberRows
from kept.serving.protocol.numbers import NumbersReader
from kept.serving.protocol.tensors import TensorsReader
from kept.serving.protocol.values import Question
from kept.serving.request import Request
from kept.serving.runtime import as_matrix

_NAMES = ("a", "b", "features")
_values = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**70), 2**70))
_odd = st.one_of(_values, st.none(), st.booleans(), st.text(max_size=2), st.lists(_values, max_size=2))
_shapes = st.lists(st.integers(-1, 4), max_size=3)


@st.composite
def _bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Mostly bodies in the usual form, and then something may be otherwise."""
    width, rows = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    values = draw(st.sampled_from([_values, _values, _odd]))
    usual = st.lists(values, min_size=rows, max_size=rows)
    names = list(_NAMES[:width])
    inputs: list[dict[str, Any]] = [
        {"name": name, "shape": draw(st.sampled_from([[rows], [rows, 1]])), "datatype": "FP64", "data": draw(usual)}
        for name in names
    ]
    if draw(st.booleans()):
        flat = draw(st.lists(values, min_size=rows * width, max_size=rows * width))
        inputs = [{"name": "features", "shape": [rows, width], "datatype": "FP32", "data": flat}]
    place = draw(st.integers(0, len(inputs) - 1))
    for key, other in draw(
        st.dictionaries(st.sampled_from(["name", "shape", "datatype", "data"]), st.just(None), max_size=1)
    ).items():
        strategies: dict[str, st.SearchStrategy[Any]] = {
            "name": st.sampled_from(_NAMES),
            "shape": _shapes,
            "datatype": st.sampled_from(["INT8", "UINT64", "BOOL", "BYTES", "fp64"]),
            "data": st.one_of(st.lists(_odd, max_size=6), st.just(other)),
        }
        inputs[place][key] = draw(strategies[key])
    others: list[dict[str, Any]] = [
        {},
        {"id": "one"},
        {"id": 1},
        {"parameters": {"key": "k", "timeout": 5}},
        {"outputs": []},
    ]
    beside = draw(st.sampled_from(others))
    return {"inputs": draw(st.permutations(inputs)), **beside}


@given(_bodies(), st.integers(1, 3), st.booleans(), st.sampled_from([0, 8_000]))
def test_they_are_read_as_all_others_are(body: dict[str, Any], width: int, nullable: bool, beside: int) -> None:
    inputs = tuple(Field(name=name, kind="number", nullable=nullable) for name in _NAMES[:width])
    reader = TensorsReader(Signature(inputs=inputs, task="regression"), ("prediction",))
    other = TensorsReader(Signature(inputs=inputs, task="regression"), ("prediction",))
    other._numbers = None
    # Large bodies are read in a way of their own.
    sent = json.dumps(body).encode() + b" " * beside
    assert _told(reader, sent) == _told(other, sent)


def _told(reader: TensorsReader, body: bytes) -> object:
    try:
        asked = reader.read(body)
    except Invalid as error:
        return str(error)
    return [*map(tuple, asked.values)], asked.keys, asked.name, asked.timeout_us, asked.wanted


@pytest.mark.parametrize("beside", [0, 8_000])
@pytest.mark.parametrize("count", [3, 5, 6])
def test_a_matrix_has_as_many_values_as_its_shape_says(count: int, beside: int) -> None:
    inputs = tuple(Field(name=name, kind="number", nullable=True) for name in "ab")
    reader = TensorsReader(Signature(inputs=inputs, task="regression"), ("prediction",))
    body = {"inputs": [{"name": "features", "shape": [2, 2], "datatype": "FP64", "data": [1.5] * count}]}
    with pytest.raises(Invalid, match=rf"the shape \[2, 2\] holds 4 values, found {count}"):
        reader.read(json.dumps(body).encode() + b" " * beside)


def _call(rows: Sequence[Any]) -> Call:
    call = Call(Request("late", "rows"), b"", 0, lambda _: None)
    call.question = Question(values=rows)
    return call


def test_many_numbers_are_logged_as_a_list_of_their_rows_is() -> None:
    inputs = tuple(Field(name=name, kind="number", nullable=True) for name in _NAMES[:2])
    reader = TensorsReader(Signature(inputs=inputs, task="regression"), ("prediction",))
    sent = [
        json.dumps(
            {"inputs": [{"name": "features", "shape": [rows, 2], "datatype": "FP64", "data": [*range(2 * rows)]}]}
        )
        for rows in (1, 20, 2_000)
    ]
    sent.append(sent[1].replace(" 6,", " null,"))
    many = [reader.read(body.encode() + b" " * 8_000).values for body in sent]
    assert all(isinstance(rows, NumberRows) for rows in many)
    log = msgspec.msgpack.Encoder(enc_hook=LoggedTensors(10))
    together = values_of([_call(rows) for rows in many])
    assert isinstance(together, NumberRows)
    for rows in [*many, together]:
        assert msgspec.msgpack.decode(log.encode([rows, 1])) == [list(rows), 1]
    assert list(together) == [row for rows in many for row in rows]
    # One of them may be as all other bodies are.
    for place in (0, 2):
        mixed = [list(rows) if number == place else rows for number, rows in enumerate(many)]
        assert values_of([_call(rows) for rows in mixed]) == list(together)
    assert [many[1][3], many[1][1:3]] == [[6.0, 7.0], [[2.0, 3.0], [4.0, 5.0]]]
    assert [many[3][3], many[3][2:4]] == [[None, 7.0], [[4.0, 5.0], [None, 7.0]]]


@pytest.mark.parametrize(
    ("fields", "whether"),
    [
        ([("number", True), ("number", True)], True),
        ([("number", False)], True),
        ([("number", False), ("number", True)], False),
        ([("number", False), ("integer", False)], False),
        ([("text", True)], False),
    ],
)
def test_which_signatures_it_is_for(fields: list[tuple[Any, bool]], whether: bool) -> None:
    inputs = tuple(Field(name=str(place), kind=kind, nullable=null) for place, (kind, null) in enumerate(fields))
    assert NumbersReader.takes(Signature(inputs=inputs, task="regression")) is whether


def test_rows_become_a_matrix_with_nan_for_what_is_missing() -> None:
    assert as_matrix([(1, 2.5), (2**53 + 1, -0.0)], 2).tolist() == [[1.0, 2.5], [float(2**53), 0.0]]
    assert np.array_equal(as_matrix([[1, None], [None, 2.5]], 2), [[1, np.nan], [np.nan, 2.5]], equal_nan=True)
