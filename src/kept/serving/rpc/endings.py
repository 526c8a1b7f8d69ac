"""Errors as gRPC statuses, where clients take no more than 8 KB in all."""

from urllib.parse import quote

import msgspec

from kept.core.errors import KeptError
from kept.serving.protocol.answers import in_short

_MOST_BYTES = 6_000
_LONGEST = 1_000


def ending(error: KeptError) -> tuple[str, bytes]:
    """What is said, and its parts as JSON: shortened until both, as gRPC writes them, take at most 6,000 bytes."""
    most = _LONGEST
    while True:
        told = in_short(error, most)
        message, parts = str(told), msgspec.json.encode({"what": told.what, "where": told.where, "fix": told.fix})
        if _written(message, parts) <= _MOST_BYTES:
            return message, parts
        most = most * 3 // 4


def _written(message: str, parts: bytes) -> int:
    """Bytes on the wire: other characters than printable ASCII are escaped byte by byte, and the parts go as base64."""
    return len(quote(message, safe=" ")) + len(parts) * 4 // 3
