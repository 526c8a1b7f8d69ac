"""Identifiers: UUIDv7 (RFC 9562), so that ids sort by the time they were made."""

import os
import threading
import time

_lock = threading.Lock()
_last = 0
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def new_id() -> str:
    """A UUIDv7 in its canonical text form.

    Ids of one process strictly increase, also within a millisecond and when the wall clock steps back.
    """
    return new_ids(1)[0]


def new_ids(count: int) -> list[str]:
    """Several new ids, in their order; cheaper than one at a time."""
    global _last  # noqa: PLW0603 - the last id made is what keeps the next one larger
    now = time.time_ns()
    # 48 bits of milliseconds, then 12 bits of the fraction of the millisecond (RFC 9562, 6.2, method 3).
    moment = (now // 1_000_000) << 12 | (now % 1_000_000) * 4096 // 1_000_000
    with _lock:
        first = max(moment, _last + 1)
        _last = first + count - 1
    random = os.urandom(8 * count).hex()
    return [_text(first + number, random[16 * number : 16 * number + 16]) for number in range(count)]


def _text(moment: int, random: str) -> str:
    # The version 7 stands before the last 12 bits of the moment; the variant takes the first 2 of 64 random bits.
    clock = "%016x" % ((moment >> 12) << 16 | 0x7000 | moment & 0xFFF)
    return f"{clock[:8]}-{clock[8:12]}-{clock[12:]}-{_VARIANT[random[0]]}{random[1:4]}-{random[4:]}"
