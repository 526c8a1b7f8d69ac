"""Tensors as bytes behind the JSON, and what is said when they are not right."""

import json
import math
import struct
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from predicting import Packaged, Service, flights

from kept.core.errors import Invalid
from kept.packaging.signature import Field, Signature
from kept.serving.protocol.datatypes import pack, unpack
from kept.serving.protocol.tensors import TensorsReader

SIZE = "inference-header-content-length"


def body(*tensors: tuple[str, str, list[int], bytes], **more: object) -> tuple[bytes, dict[str, str]]:
    inputs = [
        {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(data)}}
        for name, datatype, shape, data in tensors
    ]
    head = json.dumps({"inputs": inputs, **more}).encode()
    headers = {SIZE: str(len(head)), "content-type": "application/octet-stream"}
    return head + b"".join(data for *_, data in tensors), headers


def good(n: int = 2) -> list[tuple[str, str, list[int], bytes]]:
    frame = flights(n)
    return [
        ("distance", "FP64", [n], pack("FP64", frame["distance"].to_list())),
        ("hour", "INT16", [n], pack("INT16", frame["hour"].to_list())),
        ("carrier", "BYTES", [n, 1], pack("BYTES", [text.encode() for text in frame["carrier"]])),
        ("express", "BOOL", [n], pack("BOOL", frame["express"].to_list())),
    ]


def ask(running: Service, content: bytes, headers: dict[str, str]) -> httpx.Response:
    return httpx.post(f"{running.url}/v2/models/late/infer", content=content, headers=headers)


@pytest.mark.parametrize("n", [1, 5, 100])
def test_bytes_in_and_out(running: Service, packaged: dict[str, Packaged], n: int) -> None:
    outputs = [{"name": "prediction", "parameters": {"binary_data": True}}, {"name": "probability"}]
    content, headers = body(*good(n), outputs=outputs, parameters={"binary_data_output": False})
    answer = ask(running, content, headers)
    assert answer.status_code == 200, answer.text
    size = int(answer.headers[SIZE])
    labels, scores = json.loads(answer.content[:size])["outputs"]
    expected = packaged["first"].expected(flights(n))
    assert scores["data"] == pytest.approx(expected, abs=1e-12)
    assert labels["parameters"] == {"binary_data_size": n}
    assert "data" not in labels
    assert np.frombuffer(answer.content[size:], "?").tolist() == (expected > 0.5).tolist()


def test_json_and_bytes_in_one_request(running: Service) -> None:
    content, headers = body(*good())
    head = json.loads(content[: int(headers[SIZE])])
    tail = content[int(headers[SIZE]) :]
    size = head["inputs"][0].pop("parameters")["binary_data_size"]
    head["inputs"][0]["data"] = list(struct.unpack("<2d", tail[:size]))
    mixed = json.dumps(head).encode()
    answer = ask(running, mixed + tail[size:], {SIZE: str(len(mixed))})
    assert answer.status_code == 200
    assert SIZE not in answer.headers
    assert answer.json()["outputs"][0]["data"] == ask(running, content, headers).json()["outputs"][0]["data"]


@pytest.mark.parametrize(
    ("place", "changed", "said"),
    [
        (0, ("distance", "FP64", [3], bytes(16)), "inputs 'distance': expected 24 bytes (3 elements of FP64), found 16"),
        (0, ("distance", "BOOL", [2], bytes(2)), "inputs 'distance': expected the datatype FP64, found 'BOOL'"),
        (0, ("distance", "FP99", [2], bytes(2)), "found 'FP99'"),
        (0, ("distance", "FP64", [2, 2], bytes(32)), "expected the shape [rows] or [rows, 1], found [2, 2]"),
        (1, ("hour", "FP32", [2], struct.pack("<2f", 1, 2.5)), "row 1: expected a whole number, found 2.5"),
        (1, ("hour", "UINT64", [2], struct.pack("<2Q", 1, 2**64 - 1)), "expected a whole number of 64 bits"),
        (2, ("carrier", "BYTES", [2], b"\2\0\0\0AA"), "its 6 bytes are not 2 elements of BYTES"),
        (2, ("carrier", "BYTES", [2], b"\2\0\0\0AA\xff\xff\xff\xffAA"), "are not 2 elements of BYTES"),
        (2, ("carrier", "BYTES", [2], b"\2\0\0\0AA\1\0\0\0\xff"), "inputs 'carrier': row 1: expected text in UTF-8"),
        (3, ("express", "BOOL", [1], b"\1"), "expected 2 values like the input 'distance', found 1"),
    ],
)  # fmt: skip
def test_bytes_that_do_not_fit(
    running: Service, place: int, changed: tuple[str, str, list[int], bytes], said: str
) -> None:
    tensors = good()
    tensors[place] = changed
    answer = ask(running, *body(*tensors))
    assert (answer.status_code, said in answer.json()["error"]) == (400, True), answer.text


def test_sizes_that_do_not_fit(running: Service) -> None:
    content, headers = body(*good())
    for sent, more, said in (
        (content + b"x", {}, "1 bytes behind the JSON belong to no input"),
        (content[:-1], {}, "inputs 'express': expected 2 bytes of binary data, found 1"),
        (content, {SIZE: "99999999"}, "the JSON was to have 99999999 bytes"),
        (content, {SIZE: "-1"}, "expected a number of bytes, found '-1'"),
        (content, {SIZE: "0"}, "not valid JSON"),
    ):
        answer = ask(running, sent, headers | more)
        assert (answer.status_code, said in answer.json()["error"]) == (400, True), answer.text
    assert ask(running, content, {"content-type": "application/octet-stream"}).status_code == 415
    refused = httpx.post(f"{running.url}/predict/late", content=content, headers=headers)
    assert refused.status_code == 415


NUMBERS: dict[str, tuple[Any, str]] = {
    "FP64": (st.floats(allow_nan=False), "<f8"),
    "FP32": (st.floats(width=32, allow_nan=False), "<f4"),
    "FP16": (st.floats(width=16, allow_nan=False), "<f2"),
    "INT8": (st.integers(-128, 127), "<i1"),
    "UINT32": (st.integers(0, 2**32 - 1), "<u4"),
    "INT64": (st.integers(-(2**63), 2**63 - 1), "<i8"),
    "BOOL": (st.booleans(), "?"),
}


@given(st.data(), st.sampled_from(sorted(NUMBERS)), st.sampled_from([1, 3, 70]))
def test_elements_come_back_as_they_were(data: st.DataObject, datatype: str, count: int) -> None:
    values, dtype = NUMBERS[datatype]
    sent = data.draw(st.lists(values, min_size=count, max_size=count))
    packed = pack(datatype, sent)
    assert packed == np.array(sent, dtype).tobytes()
    assert unpack(datatype, count, packed, "x") == sent


def test_upper_halves_of_floats() -> None:
    halves = (np.array([1.5, -2.0, np.nan], "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    assert unpack("BF16", 3, halves, "x") == [1.5, -2.0, None]


def test_nan_is_missing_where_it_may_be() -> None:
    fields = (Field(name="a", kind="number"), Field(name="b", kind="number", nullable=False))
    reader = TensorsReader(Signature(inputs=fields, task="regression"), ("prediction",))
    values, numbers = struct.pack("<2d", np.nan, 1.0), struct.pack("<2d", 1.0, 2.0)
    content, headers = body(("a", "FP64", [2], values), ("b", "FP64", [2], numbers))
    assert reader.read(content, int(headers[SIZE])).values == [(None, 1.0), (1.0, 2.0)]
    content, headers = body(("a", "FP64", [2], numbers), ("b", "FP64", [2], values))
    with pytest.raises(Invalid, match="inputs 'b': row 0: expected a value of FP64, found NaN"):
        reader.read(content, int(headers[SIZE]))


@pytest.mark.parametrize("datatype", ["FP64", "FP32", "INT16", "BF16"])
@pytest.mark.parametrize("rows", [1, 21, 22, 500])
def test_many_rows_are_what_few_are(datatype: str, rows: int) -> None:
    inputs = tuple(Field(name=name, kind="number", nullable=True) for name in "abc")
    reader = TensorsReader(Signature(inputs=inputs, task="regression"), ("prediction",))
    data = np.arange(3 * rows, dtype={"FP64": "f8", "FP32": "f4", "BF16": "u2"}.get(datatype, "i2"))
    content, headers = body(("features", datatype, [rows, 3], data.tobytes()))
    read = reader.read(content, int(headers[SIZE])).values
    flat = [float(value) if value is not None else None for value in unpack(datatype, 3 * rows, data.tobytes(), "x")]
    assert [*map(list, read)] == [flat[start : start + 3] for start in range(0, 3 * rows, 3)]


def test_nan_among_many_is_missing_where_it_may_be() -> None:
    data = pack("FP64", [1.0, math.nan] * 100)
    content, headers = body(("features", "FP64", [100, 2], data))
    for nullable in (True, False):
        inputs = tuple(Field(name=name, kind="number", nullable=nullable) for name in "ab")
        reader = TensorsReader(Signature(inputs=inputs, task="regression"), ("prediction",))
        if nullable:
            assert list(reader.read(content, int(headers[SIZE])).values) == [[1.0, None]] * 100
            continue
        with pytest.raises(Invalid, match="the field 'b' must not be null"):
            reader.read(content, int(headers[SIZE]))
