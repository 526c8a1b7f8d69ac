"""Array types, and structs with arrays as bytes: the same bits come back, so that a detector continues exactly."""

from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Damaged

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Array = NDArray[Any]

S = TypeVar("S", bound=msgspec.Struct)

_DTYPES = {"<f8", "<f4", "<i8", "<u2", "|b1"}


def encode(value: msgspec.Struct) -> bytes:
    """A struct as MessagePack; each array as its type, its shape and its little-endian bytes."""
    return msgspec.msgpack.encode(value, enc_hook=_encode_array)


def decode(data: bytes, kind: type[S]) -> S:
    """The struct that `encode` was given; `Damaged` when the bytes are not one of this kind and format number."""
    try:
        return msgspec.msgpack.decode(data, type=kind, dec_hook=_decode_array)
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        raise Damaged(f"the bytes are not a {kind.__name__}: {error}", where=kind.__name__) from error


def scaled(values: Floats) -> tuple[Floats, float]:
    """Values divided by a power of two, and that: the largest is 1 to 2 then, so that squares neither overflow nor all vanish.

    What is computed of them and multiplied back is the same to the bit where plain squares would do.
    """
    largest = float(np.abs(values).max(initial=0.0))
    if not 0.0 < largest < np.inf:
        return values, 1.0
    size = float(np.ldexp(1.0, int(np.frexp(largest)[1]) - 1))
    return values / size, size


def mid_ranks(values: Array) -> Floats:
    """Ranks from 1 on; equal values share the mean of theirs. No value may be NaN.

    As `scipy.stats.rankdata`, whose import takes half a second in every process.
    """
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2.0)[place])


def _encode_array(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        raise NotImplementedError(type(value))
    little = np.ascontiguousarray(value.astype(value.dtype.newbyteorder("<"), copy=False))
    return (little.dtype.str, value.shape, little.tobytes())


def _decode_array(_kind: type, value: Any) -> Any:
    dtype, shape, data = value
    if dtype not in _DTYPES:
        raise ValueError(f"arrays of type {dtype!r} are not read")
    array = np.frombuffer(data, dtype).reshape(shape)
    return array.astype(array.dtype.newbyteorder("="), copy=False)
