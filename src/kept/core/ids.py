"""Identifiers: UUIDv7 (RFC 9562), so that ids sort by the time they were made."""

import os
import threading
import time

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """A UUIDv7 in its canonical text form.

    Ids of one process strictly increase, also within a millisecond and when the wall clock steps back.
    """
    global _last  # noqa: PLW0603 - the last id made is what keeps the next one larger
    now = time.time_ns()
    # 48 bits of milliseconds, then 12 bits of the fraction of the millisecond (RFC 9562, 6.2, method 3).
    moment = (now // 1_000_000) << 12 | (now % 1_000_000) * 4096 // 1_000_000
    with _lock:
        _last = moment = max(moment, _last + 1)
    value = (moment >> 12) << 80 | 0x7 << 76 | (moment & 0xFFF) << 64 | 0b10 << 62
    value |= int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
