"""Back-off: how long to wait before something is tried again."""

from datetime import timedelta

_FIRST_WAIT = timedelta(seconds=1)
_LONGEST_WAIT = timedelta(hours=1)
_MOST_DOUBLINGS = 20


def wait_after(attempts: int) -> timedelta:
    """1 s after the first attempt, then 2 s, 4 s, ... and at last an hour."""
    return min(_FIRST_WAIT * (1 << min(attempts - 1, _MOST_DOUBLINGS)), _LONGEST_WAIT)
