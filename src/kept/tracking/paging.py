"""Page tokens: where the next page begins, and of which query."""

import base64
import binascii
from collections.abc import Sized

import msgspec

from kept.core.errors import Invalid

MOST_NAMED = 10_000
"""How many things one question can name; databases take few more, and slowly."""
_LARGEST_OFFSET = 2**62


class _Token(msgspec.Struct):
    offset: int


def offset_of(page: str | None) -> int:
    """Where the page begins; the first one has no token."""
    if not page:
        return 0
    try:
        raw = base64.b64decode(page)
    except (binascii.Error, ValueError) as error:
        raise _unfit("could not base64-decode") from error
    try:
        token = msgspec.json.decode(raw)
    except (msgspec.DecodeError, ValueError) as error:
        raise _unfit(f"decoded value={raw!r}") from error
    told = token.get("offset") if isinstance(token, dict) else None
    if not told:
        raise _unfit(f"parsed value={token}")
    try:
        offset = int(told)
    except (TypeError, ValueError) as error:
        raise _unfit(f"not stringable {told}") from error
    if not 0 < offset < _LARGEST_OFFSET:
        raise _unfit(f"parsed value={token}")
    return offset


def token_of(offset: int) -> str:
    """The token of the page that begins there."""
    return base64.b64encode(msgspec.json.encode(_Token(offset=offset))).decode()


def _unfit(reason: str) -> Invalid:
    return Invalid(f"Invalid page token, {reason}", fix="Give the token as it was answered")


def check_limit(limit: int, largest: int) -> None:
    """Refuses pages without anything on them, and pages too large."""
    if limit < 1:
        raise Invalid(f"Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer")
    if limit > largest:
        raise Invalid(f"Invalid value {limit} for parameter 'max_results' supplied. It must be at most {largest}")


def check_named(names: Sized, where: str, most: int = MOST_NAMED) -> None:
    """Refuses questions that name too many things."""
    if len(names) > most:
        raise Invalid(f"{len(names):,} are named at once", where=where, fix=f"Name at most {most:,}")
