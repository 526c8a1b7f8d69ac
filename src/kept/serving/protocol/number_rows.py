"""Rows of numbers as one matrix: no object for each number while they are answered and logged."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kept.packaging.rows import Matrix

# MessagePack: a list with its length in 4 bytes, and a float64; both big-endian.
_LIST = np.dtype([("kind", "u1"), ("length", ">u4")])
_NUMBER = np.dtype([("kind", "u1"), ("value", ">f8")])
_IS_LIST, _IS_NUMBER = 0xDD, 0xCB


class NumberRows(Sequence[Any]):
    """A sequence per row, of floats and None.

    Args:
        matrix: float64 of shape (rows, columns); NaN where a value is missing.
    """

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.matrix)

    def __getitem__(self, place: Any) -> Any:
        """A row, or several."""
        return _plain(self.matrix[place])

    def __iter__(self) -> Iterator[Any]:
        """Each row."""
        return iter(_plain(self.matrix))

    def packed(self) -> bytes | bytearray:
        """The list of lists of floats and None in MessagePack."""
        if np.isnan(self.matrix).any():
            return msgspec.msgpack.encode(_plain(self.matrix))
        rows, width = self.matrix.shape
        row = np.dtype([("head", _LIST), ("numbers", _NUMBER, (width,))])
        packed = bytearray(_LIST.itemsize + rows * row.itemsize)
        np.frombuffer(packed, _LIST, 1)[0] = _IS_LIST, rows
        # Written in place: copies of some hundred kB would cost more than making them.
        written = np.frombuffer(packed, row, offset=_LIST.itemsize)
        written["head"]["kind"], written["head"]["length"] = _IS_LIST, width
        written["numbers"]["kind"], written["numbers"]["value"] = _IS_NUMBER, self.matrix
        return packed


def joined(parts: Sequence[Sequence[Any]]) -> NumberRows | None:
    """The rows of several requests, one behind the other; None where they are not all matrices."""
    matrices = [part.matrix for part in parts if isinstance(part, NumberRows)]
    if len(matrices) < len(parts):
        return None
    return NumberRows(matrices[0] if len(matrices) == 1 else np.concatenate(matrices))


def _plain(numbers: NDArray[np.float64]) -> list[Any]:
    missing = np.isnan(numbers)
    if missing.any():
        numbers = numbers.astype(object)
        numbers[missing] = None
    plain: list[Any] = numbers.tolist()
    return plain
