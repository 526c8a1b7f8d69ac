"""Reading Universal Binary JSON (ubjson.org, draft 12), in which XGBoost writes its models. Data only, whatever the bytes are."""

from typing import Any

import numpy as np

_NUMBERS = {b"i": ">i1", b"U": ">u1", b"I": ">i2", b"l": ">i4", b"L": ">i8", b"d": ">f4", b"D": ">f8"}
_WHOLE = {b"i", b"U", b"I", b"l", b"L"}
_CONSTANTS = {b"Z": None, b"T": True, b"F": False}
_DEEPEST = 60


def read_ubjson(data: bytes) -> Any:
    """The value that the bytes stand for; arrays of one kind of number as lists. `ValueError` when they stand for none."""
    reader = _Reader(data)
    value = reader.value(reader.take(1), 0)
    if reader.rest():
        raise ValueError("something follows the value")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def rest(self) -> bytes:
        """What is not read yet, without padding."""
        return self._data[self._at :].strip(b"N\0")

    def take(self, size: int) -> bytes:
        """The next bytes."""
        found = self._data[self._at : self._at + size]
        if size < 0 or len(found) < size:
            raise ValueError("it ends too early")
        self._at += size
        return found

    def value(self, kind: bytes, depth: int) -> Any:
        """The value of a kind that was read."""
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        if kind in _CONSTANTS:
            return _CONSTANTS[kind]
        if kind in _NUMBERS:
            return self._numbers(kind, 1)[0]
        if kind == b"C":
            return self.take(1).decode("latin-1")
        if kind == b"S":
            return self.take(self._length()).decode()
        if kind == b"[":
            return self._array(depth)
        if kind == b"{":
            return self._object(depth)
        raise ValueError(f"there is no kind {kind!r}")

    def _numbers(self, kind: bytes, count: int) -> list[Any]:
        dtype = np.dtype(_NUMBERS[kind])
        found: list[Any] = np.frombuffer(self.take(count * dtype.itemsize), dtype).tolist()
        return found

    def _length(self) -> int:
        kind = self.take(1)
        if kind not in _WHOLE:
            raise ValueError("a length is no whole number")
        found = self._numbers(kind, 1)[0]
        if not 0 <= found <= len(self._data):
            raise ValueError("a length is beyond the data")
        return int(found)

    def _shape(self) -> tuple[bytes | None, int | None]:
        """The kind that all values of a container have, and how many there are, where it says so."""
        kind = None
        if self._data[self._at : self._at + 1] == b"$":
            self.take(1)
            kind = self.take(1)
            if self._data[self._at : self._at + 1] != b"#":
                raise ValueError("a container of one kind does not say how many")
        if self._data[self._at : self._at + 1] == b"#":
            self.take(1)
            return kind, self._length()
        return kind, None

    def _array(self, depth: int) -> list[Any]:
        kind, count = self._shape()
        if kind in _NUMBERS and kind is not None and count is not None:
            return self._numbers(kind, count)
        found: list[Any] = []
        while count is None or len(found) < count:
            following = kind or self.take(1)
            if count is None and following == b"]":
                break
            found.append(self.value(following, depth + 1))
        return found

    def _object(self, depth: int) -> dict[str, Any]:
        kind, count = self._shape()
        found: dict[str, Any] = {}
        read = 0
        while count is None or read < count:
            if count is None and self._data[self._at : self._at + 1] == b"}":
                self.take(1)
                break
            name = self.take(self._length()).decode()
            found[name] = self.value(kind or self.take(1), depth + 1)
            read += 1
        return found
