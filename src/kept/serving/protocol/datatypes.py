"""The protocol's datatypes, and tensors as bytes: little endian, row by row; BYTES as a length (u32) and the bytes for each element."""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Invalid

FLOATS = frozenset({"FP16", "FP32", "FP64", "BF16"})
INTEGERS = frozenset({"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"})

_CODES = {
    "BOOL": "?", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "UINT8": "B", "UINT16": "H", "UINT32": "I",
    "UINT64": "Q", "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip
_SIZES = {datatype: struct.calcsize(f"<{code}") for datatype, code in _CODES.items()} | {"BF16": 2}
# Below this many elements the standard library is faster than NumPy.
_FEW = 64
_LENGTH = struct.Struct("<I")


def unpack(datatype: str, count: int, data: bytes | memoryview, where: str) -> list[Any]:
    """The elements of a tensor that came as bytes. NaN means missing, and becomes None.

    Args:
        datatype: one of the protocol's.
        count: how many elements the shape holds.
        data: their bytes.
        where: what is said to be wrong when they are not right.

    Raises:
        Invalid: the bytes do not hold `count` elements, or text is not UTF-8.
    """
    if datatype == "BYTES":
        return _unpack_text(count, data, where)
    size = count * _SIZES[datatype]
    if len(data) != size:
        raise Invalid(
            f"expected {size} bytes ({count} elements of {datatype}), found {len(data)}",
            where=where,
            fix="Let shape, datatype and binary data agree",
        )
    values: list[Any]
    if datatype == "BF16":
        # The upper half of a float32.
        wide = np.frombuffer(data, dtype="<u2").astype("<u4") << 16
        values = wide.view("<f4").tolist()
    elif count <= _FEW:
        values = list(struct.unpack(f"<{count}{_CODES[datatype]}", data))
    else:
        values = np.frombuffer(data, dtype=f"<{_CODES[datatype]}").tolist()
    return without_nan(values) if datatype in FLOATS else values


def unpack_many(datatype: str, count: int, data: bytes | memoryview) -> NDArray[np.float64] | None:
    """Many numbers that came as bytes, in float64; None where they are better unpacked, or are not as many."""
    if count <= _FEW or datatype not in _CODES or len(data) != count * _SIZES[datatype]:
        return None
    return np.frombuffer(data, dtype=f"<{_CODES[datatype]}").astype(np.float64)


def without_nan(values: list[Any]) -> list[Any]:
    """The numbers with None for NaN."""
    # A sum is NaN when one of its terms is (or infinities meet): mostly one pass in C is enough.
    return [None if value != value else value for value in values] if sum(values) != sum(values) else values  # noqa: PLR0124 - only NaN is not itself


def pack(datatype: str, values: Sequence[Any]) -> bytes:
    """A tensor's elements as bytes; text elements are given as bytes already. What is None is sent as NaN."""
    if datatype == "BYTES":
        return b"".join(_LENGTH.pack(len(value)) + value for value in values)
    return struct.pack(f"<{len(values)}{_CODES[datatype]}", *values)


def _unpack_text(count: int, data: bytes | memoryview, where: str) -> list[Any]:
    values = []
    place, end = 0, len(data)
    for _ in range(count):
        start = place + _LENGTH.size
        if start > end:
            break
        place = start + _LENGTH.unpack_from(data, place)[0]
        if place > end:
            break
        try:
            values.append(str(data[start:place], "utf-8"))
        except UnicodeDecodeError as error:
            raise Invalid("expected text in UTF-8, found other bytes", where=f"{where}: row {len(values)}") from error
    if len(values) != count or place != end:
        raise Invalid(
            f"its {end} bytes are not {count} elements of BYTES",
            where=where,
            fix="Send the length (4 bytes, little endian) and the bytes of each",
        )
    return values
