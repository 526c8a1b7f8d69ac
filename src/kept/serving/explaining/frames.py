"""What the service and the process that explains say to each other: a length in 4 bytes, then MessagePack."""

import struct
from typing import Any

import msgspec

from kept.packaging.explaining.explanation import Explanation

LENGTH = struct.Struct(">I")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Rows to explain: their values in the order of the signature of the bundle in a folder."""

    folder: str
    digest: str
    trusted: bool
    """Whether the bundle may run code when it loads."""
    rows: list[Any]


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """Why there is no explanation, and the status that says so."""

    status: int
    what: str
    where: str | None = None
    fix: str | None = None
    spent: bool = False
    """Whether the process had better begin anew."""


class Told(msgspec.Struct, frozen=True, kw_only=True, tag="told"):
    """The explanation."""

    explanation: Explanation


def framed(message: Wanted | Refused | Told) -> bytes:
    """A message as it is sent."""
    data = msgspec.msgpack.encode(message)
    return LENGTH.pack(len(data)) + data


decode_wanted = msgspec.msgpack.Decoder(Wanted).decode
decode_answer: msgspec.msgpack.Decoder[Refused | Told] = msgspec.msgpack.Decoder(Refused | Told)
