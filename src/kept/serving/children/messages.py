"""Messages between the service and the process of a model, over a socket: data only, never code.

A message is a head in MessagePack and a body of plain bytes, with their sizes before them (4 and 8 bytes, little-endian).
The body of a question is a float64 matrix row by row, or rows in MessagePack where the model takes a table; that of an answer are
float64 numbers, those of the requests that were answered one behind the other.
"""

import struct
from collections.abc import Iterator

import msgspec

from kept.core.errors import Damaged, Forbidden, Invalid, KeptError, NotFound, Unavailable

_SIZES = struct.Struct("<IQ")
# Of an answer: a failure for each of as many requests as fit into a turn is far less.
_LARGEST_HEAD = 64 << 20
_KINDS: dict[str, type[KeptError]] = {
    kind.__name__: kind for kind in (Invalid, Forbidden, NotFound, Damaged, Unavailable)
}


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is started for, as its only argument, in JSON.

    Args:
        socket: descriptor of the socket on which it is asked.
        life: descriptor of a pipe that closes when the service is gone.
        folder: the bundle.
        digest: of the bundle.
        trusted: whether the bundle may run code when it loads (pickle).
        megabytes: of memory that it may have; 0 for no limit.
        quiet: whether it gives way to all others (shadows).
    """

    socket: int
    life: int
    folder: str
    digest: str
    trusted: bool
    megabytes: int
    quiet: bool


class Ask(msgspec.Struct, array_like=True):
    """Rows to be answered.

    Args:
        sizes: how many rows each request has.
        width: columns of the matrix; 0 where the body is rows in MessagePack.
    """

    sizes: list[int]
    width: int


class Failure(msgspec.Struct, array_like=True):
    """Why there is no answer. `kind` is a class of the error tree, or empty where something else was raised."""

    kind: str
    what: str
    where: str | None = None
    fix: str | None = None

    def error(self) -> KeptError:
        """The error that was raised there."""
        return _KINDS.get(self.kind, KeptError)(self.what, where=self.where, fix=self.fix)


class Ready(msgspec.Struct, array_like=True, tag="ready"):
    """The first message: the model is loaded, checked and warm, or why it is not."""

    failure: Failure | None = None


class Answers(msgspec.Struct, array_like=True, tag="answers"):
    """What the model answered.

    Args:
        width: numbers for each row.
        failed: what went wrong, by the request's place; the body has nothing of these.
        seconds: that it took, by the clock of its process.
    """

    width: int
    failed: dict[int, Failure]
    seconds: float = 0.0


def failure_of(error: Exception) -> Failure:
    """An error in the form in which it is told."""
    if isinstance(error, KeptError):
        kind = type(error).__name__
        return Failure(kind if kind in _KINDS else "", error.what, error.where, error.fix)
    return Failure("", f"the model raised {type(error).__name__}")


def packed(head: msgspec.Struct, body: bytes = b"") -> bytes:
    """A message as bytes."""
    data = _encode(head)
    return b"".join([_SIZES.pack(len(data), len(body)), data, body])


class Inbox:
    """Puts messages together from what a socket gives. `Damaged` when what came is none, or larger than it may be."""

    def __init__(self, largest_body: int) -> None:
        self.largest_body = largest_body
        self._held = bytearray()

    def take(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Head and body of each message that is whole with these bytes."""
        held = self._held
        held += data
        while len(held) >= _SIZES.size:
            head, body = _SIZES.unpack_from(held)
            if head > _LARGEST_HEAD or body > self.largest_body:
                raise Damaged("a message is larger than it may be", where="process of the model")
            end = _SIZES.size + head + body
            if len(held) < end:
                return
            message = bytes(memoryview(held)[_SIZES.size : end])
            del held[:end]
            yield message[:head], message[head:]


_encode = msgspec.msgpack.Encoder().encode
