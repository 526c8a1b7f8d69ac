"""Messages of a stream, and positions in it."""

from typing import Protocol

import msgspec
import xxhash

_VARIANT = 0x8000000000000000
_VERSION = 0x7000
_MOST_TIME = (1 << 48) - 1

Headers = tuple[tuple[str, bytes | None], ...]


class Partition(msgspec.Struct, frozen=True, order=True):
    """One partition of a topic: its messages are in order, by offset."""

    topic: str
    number: int


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it came.

    Args:
        partition: the partition.
        offset: its place there.
        time_ms: the broker's time of it in milliseconds since 1970, or 0 where it has none, or one after the year 9999.
        key: bytes, or None.
        value: bytes, or None (a tombstone).
        headers: names and values, in order.
    """

    partition: Partition
    offset: int
    time_ms: int = 0
    key: bytes | None = None
    value: bytes | None = None
    headers: Headers = ()

    @property
    def place(self) -> str:
        """Where it stands, for people and for headers."""
        return f"{self.partition.topic}/{self.partition.number}/{self.offset}"


class Produced(msgspec.Struct, frozen=True, kw_only=True):
    """A message to be sent."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


class Source(Protocol):
    """Where messages come from. What was not committed comes again."""

    def take(self, most: int, seconds: float) -> list[Message]:
        """The next messages, waiting at most so long for so many. `Unavailable` when the stream is lost."""
        ...

    def commit(self, ends: dict[Partition, int]) -> None:
        """Notes the offsets behind the last messages that need not come again."""
        ...

    def end(self, partition: Partition) -> int | None:
        """The offset behind the last message of a partition; None when it cannot be found out now."""
        ...

    def behind(self, ends: dict[Partition, int]) -> int:
        """How many messages wait behind these offsets, as far as is known without asking."""
        ...


class Sink(Protocol):
    """Where messages go."""

    def send(self, messages: list[Produced]) -> None:
        """Sends messages; when it returns, all of them are delivered. `Unavailable` when one is not."""
        ...


def prediction_id(stream: str, message: Message) -> str:
    """The id of the prediction that a consumer group makes of a message: the same one each time.

    A UUIDv7 (RFC 9562) whose time is the message's and whose other 74 bits are of the xxh3-128 of the stream's name (cluster,
    topic and group), partition and offset, so that repeats are told by their id, and ids sort by the time of their messages.
    """
    digest: int = xxhash.xxh3_128_intdigest(f"{stream}\0{message.place}".encode())
    high = (min(max(message.time_ms, 0), _MOST_TIME) << 16) | _VERSION | (digest >> 64 & 0xFFF)
    low = _VARIANT | (digest & 0x3FFFFFFFFFFFFFFF)
    text = f"{high << 64 | low:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
