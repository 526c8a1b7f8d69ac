"""Rows of numbers that are all there, as one matrix: no object for each number while they are answered and logged."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kept.packaging.rows import Matrix

# MessagePack: a list with its length in 4 bytes, and a float64; both big-endian.
_LIST = np.dtype([("kind", "u1"), ("length", ">u4")])
_NUMBER = np.dtype([("kind", "u1"), ("value", ">f8")])
_IS_LIST, _IS_NUMBER = 0xDD, 0xCB


class NumberRows(Sequence[Any]):
    """A sequence per row, of floats.

    Args:
        matrix: float64 of shape (rows, columns), without NaN.
    """

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.matrix)

    def __getitem__(self, place: Any) -> Any:
        """A row, or several."""
        return self.matrix[place].tolist()

    def __iter__(self) -> Iterator[Any]:
        """Each row."""
        return iter(self.matrix.tolist())

    def packed(self) -> bytes:
        """A list of lists of floats in MessagePack."""
        rows, width = self.matrix.shape
        head = np.array((_IS_LIST, rows), _LIST)
        packed = np.empty(rows, np.dtype([("head", _LIST), ("numbers", _NUMBER, (width,))]))
        packed["head"] = np.array((_IS_LIST, width), _LIST)
        packed["numbers"]["kind"] = _IS_NUMBER
        packed["numbers"]["value"] = self.matrix
        return head.tobytes() + packed.tobytes()


def joined(parts: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """The rows of several requests, one behind the other."""
    if len(parts) == 1:
        return parts[0]
    matrices = [part.matrix for part in parts if isinstance(part, NumberRows)]
    if matrices and len(matrices) == len(parts):
        return NumberRows(np.concatenate(matrices))
    rows: list[Any] = []
    for part in parts:
        rows += part
    return rows
