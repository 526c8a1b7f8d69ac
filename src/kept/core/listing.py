"""The largest page of any list that can be requested."""

from kept.core.errors import Invalid

MOST_LISTED = 1_000


def list_limit(limit: int, *, where: str, most: int = MOST_LISTED) -> int:
    """The length that was asked for; `Invalid` when it is below 1 or above the most."""
    if not 0 < limit <= most:
        raise Invalid(f"a list of {limit} cannot be given", where=where, fix=f"Ask for 1 to {most}")
    return limit
