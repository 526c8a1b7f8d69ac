"""What is found in segments behind torn bytes, and in what time."""

import struct
from pathlib import Path

import xxhash

from kept.store.spool import HEADER, payloads

MAGIC = b"SEGMENT\n"


def frame(payload: bytes) -> bytes:
    return HEADER.pack(len(payload), xxhash.xxh3_64_intdigest(payload)) + payload


def read(tmp_path: Path, *parts: bytes) -> tuple[list[bytes], list[int]]:
    """The payloads of a segment that nobody writes any more, and the torn bytes before each stretch of them."""
    path, torn = tmp_path / f"{0:020}.log", list[int]()
    path.write_bytes(MAGIC + b"".join(parts))
    return [payload for _, payload in payloads(path, 0, MAGIC, torn=torn.append)], torn


def test_a_frame_without_its_end_gives_nothing_of_what_was_sent_in_it(tmp_path: Path) -> None:
    sent = b"text of a client " + frame(b"made up") + b"and more" * 100
    assert read(tmp_path, frame(b"whole"), frame(sent)[:-10]) == ([b"whole"], [])
    # A length that has rotted leads as far; what stands behind is found.
    rotten = bytearray(frame(sent))
    rotten[2] ^= 0x40
    found, torn = read(tmp_path, frame(b"whole"), bytes(rotten), frame(b"behind"), frame(b"it"))
    assert (found, torn) == ([b"whole", b"behind", b"it"], [len(rotten)])


def test_looking_behind_torn_bytes_takes_no_time_that_grows_with_their_square(tmp_path: Path) -> None:
    # Each fourth byte begins what could be a frame of four megabytes: to sum them all up would take many minutes.
    numbers = struct.pack("<I", 4 << 20) * (2 << 20)
    found, torn = read(tmp_path, bytes(HEADER.size), numbers, frame(b"behind"))
    assert (found, torn) == ([b"behind"], [HEADER.size + len(numbers)])
