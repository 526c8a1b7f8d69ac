"""Kept's errors as HTTP statuses of the prediction service."""

from kept.core.errors import Conflict, Forbidden, Invalid, KeptError, NotFound, Unavailable

_STATUSES: tuple[tuple[type[KeptError], int], ...] = (
    (Invalid, 400),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Unavailable, 503),
)


def status_of(error: KeptError | None) -> int:
    """The status for an error; 200 without one, 500 for what is our own fault."""
    if error is None:
        return 200
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
