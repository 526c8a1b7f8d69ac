"""What stands in the prediction log's spool, and the form it has on disk (format 1).

A spool is a folder per process with segments `<offset>.log`. Offsets count the bytes of all segments of a spool, one after
the other; a segment's name is the offset of its first byte, in 20 digits. A segment is the 8 bytes `KEPTLOG1`, then frames. A
frame is the payload's length (u32, little endian), its xxh3-64 (u64, little endian) and the payload: a MessagePack
array of entries. One frame holds what one turn of the event loop answered and is written with one write, so that it
is there as a whole or not at all. Entries are arrays that begin with their tag.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import xxhash

from kept.core.errors import Damaged

MAGIC = b"KEPTLOG1"
HEADER = struct.Struct("<IQ")
LARGEST_FRAME = 1 << 30


class ArmNote(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="arm"):
    """What the predictions of an arm mean; it stands in each segment before the arm's first predictions.

    Args:
        key: what `Answered` calls the arm by.
        endpoint: the endpoint.
        version_id: the model version.
        number: its number.
        model: its model.
        bundle: digest of its bundle.
        role: champion, canary or shadow.
        task: binary, multiclass or regression.
        classes: the class labels as text, in the order of the scores.
        names: the features, in the order they are logged.
        kinds: their kinds: number, integer, boolean, category, text.
    """

    key: str
    endpoint: str
    version_id: str
    number: int
    model: str
    bundle: str
    role: str
    task: str
    classes: tuple[str, ...]
    names: tuple[str, ...]
    kinds: tuple[str, ...]


class Answered(msgspec.Struct, kw_only=True, array_like=True, tag="ok", gc=False):
    """Predictions of one arm, a list item per row. Times are microseconds since 1970.

    Args:
        arm: key of the arm.
        ids: ids of the predictions.
        answers: ids of the predictions that were returned for these rows, where those are not these (shadows).
        event_times: when what is predicted happened, as sent, else when the request came.
        received_at: when the request came.
        keys: keys as sent, or null.
        features: the values as sent, in the arm's order.
        scores: a probability (binary), a value (regression) or the list of probabilities (multiclass).
        latencies_us: from the request's last byte to its answer.
    """

    arm: str
    ids: list[str]
    answers: list[str] | None
    event_times: list[int]
    received_at: list[int]
    keys: list[str | None]
    features: list[Any]
    scores: list[Any]
    latencies_us: list[int]


class Failed(msgspec.Struct, kw_only=True, array_like=True, tag="failed", gc=False):
    """A request that got no prediction, and why. `version_id` and `role` are empty when no version was there to ask."""

    id: str
    endpoint: str
    version_id: str
    role: str
    received_at: int
    status: int
    reason: str
    rows: int
    latency_us: int


Entry = ArmNote | Answered | Failed

_decoder = msgspec.msgpack.Decoder(list[Entry])


def segments(spool: Path) -> list[tuple[int, Path]]:
    """A spool's segments and their first offsets, in order."""
    return sorted((int(path.stem), path) for path in spool.glob("*.log"))


def frames(path: Path, start: int, *, after: int = 0) -> Iterator[tuple[int, list[Entry]]]:
    """The whole frames of a segment, each with the offset behind it, up to the first that is torn.

    Args:
        path: the segment.
        start: the offset of its first byte.
        after: an offset behind a frame of this segment, to go on from there.

    Raises:
        Damaged: the file is not a segment, or a frame with the right sum does not hold entries.
    """
    with path.open("rb") as stream:
        magic = stream.read(len(MAGIC))
        if magic != MAGIC[: len(magic)]:
            raise Damaged("it does not begin like a segment of format 1", where=str(path))
        offset = max(start + len(MAGIC), after)
        stream.seek(offset - start)
        while len(head := stream.read(HEADER.size)) == HEADER.size:
            length, digest = HEADER.unpack(head)
            if length > LARGEST_FRAME or len(payload := stream.read(length)) < length:
                return
            if xxhash.xxh3_64_intdigest(payload) != digest:
                return
            offset += HEADER.size + length
            try:
                entries = _decoder.decode(payload)
            except msgspec.DecodeError as error:
                raise Damaged(f"a frame holds what no entry is ({error})", where=str(path)) from error
            yield offset, entries
