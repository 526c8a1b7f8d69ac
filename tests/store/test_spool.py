"""What is found in segments behind torn bytes, and in what time."""

import struct
from pathlib import Path

import pytest
import xxhash

from kept.core.errors import Damaged
from kept.store.spool import HEADER, SpoolWriter, begin_size, payloads, segments

MAGIC = b"SEGMENT"
SEED = 0xFEED_5EED


def frame(payload: bytes, seed: int = SEED) -> bytes:
    return HEADER.pack(len(payload), xxhash.xxh3_64_intdigest(payload, seed)) + payload


def read(
    tmp_path: Path, *parts: bytes, begin: bytes = b"2" + SEED.to_bytes(8, "little")
) -> tuple[list[bytes], list[int]]:
    """The payloads of a segment that nobody writes any more, and the torn bytes before each stretch of them."""
    path, torn = tmp_path / f"{0:020}.log", list[int]()
    path.write_bytes(MAGIC + begin + b"".join(parts))
    return [payload for _, payload in payloads(path, 0, MAGIC, torn=torn.append)], torn


@pytest.mark.parametrize("lost", [slice(1), slice(1, 2), slice(HEADER.size), slice(HEADER.size, 20)])
def test_what_is_sent_is_never_taken_for_a_frame(tmp_path: Path, lost: slice) -> None:
    # Whoever sends does not know the seed, and may try that of older segments.
    made_up = frame(b"made up", 0) + frame(b"and more", 0)
    rotten = bytearray(frame(b"text of a client " + made_up + made_up + b"and more" * 100))
    rotten[lost] = bytes(len(rotten[lost]))
    found, torn = read(tmp_path, frame(b"whole"), bytes(rotten), frame(b"behind"), frame(b"it"))
    assert (found, torn) == ([b"whole", b"behind", b"it"], [len(rotten)])


def test_two_segments_have_two_seeds(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, MAGIC, segment_bytes=10)
    for _ in range(2):
        writer.turn()
        writer.append(bytearray(HEADER.size) + b"payload")
    begins = [path.read_bytes()[: begin_size(path)] for _, path in segments(writer.folder)]
    writer.close()
    assert {begin[:8] for begin in begins} == {MAGIC + b"2"}
    assert len({begin[8:] for begin in begins}) == len(begins) == 2


def test_segments_of_format_1_are_read_as_before(tmp_path: Path) -> None:
    parts = [frame(b"whole", 0), b"torn bytes", frame(b"behind", 0)]
    assert read(tmp_path, *parts, begin=b"1") == ([b"whole", b"behind"], [10])


@pytest.mark.parametrize("begin", [b"", b"2", b"2\0\0\0", b"1"])
def test_a_segment_that_was_only_begun_holds_nothing(tmp_path: Path, begin: bytes) -> None:
    assert read(tmp_path, begin=begin) == ([], [])
    assert begin_size(tmp_path / f"{0:020}.log") == len(MAGIC + begin)


def test_a_segment_of_a_later_format_is_none(tmp_path: Path) -> None:
    with pytest.raises(Damaged, match="format 1 or 2"):
        read(tmp_path, begin=b"3" + bytes(8))


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
