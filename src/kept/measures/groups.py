"""Rates of groups of rows, with intervals, and how far the groups are apart."""

import math

import msgspec

from kept.measures.shares import share_ends

_NORMAL = 1.959963984540054
# How often the interval of the widest gap may lie above 0 although all groups are alike.
_BY_CHANCE = 0.025


class GroupRate(msgspec.Struct, frozen=True, kw_only=True):
    """A rate with its 95% interval."""

    group: str
    value: float
    low: float
    high: float
    rows: int


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """The rate of the group with the highest less that of the group with the lowest, with its interval.

    Of many groups the two farthest apart lie apart by chance as well: the interval is widened for all pairs of groups that it
    was chosen from, either of which could have been the higher one, so that its lower end is above 0 by chance in at most
    2.5% of cases.
    """

    highest: str
    lowest: str
    value: float
    low: float
    high: float
    rows: int


def group_rate(group: str, events: float, rows: float, *, normal: float = _NORMAL) -> GroupRate:
    """A share of rows with its interval. Counts that were divided by their design effect need not be whole."""
    low, high = share_ends(events, rows, normal)
    return GroupRate(group=group, value=events / rows, low=low, high=high, rows=round(rows))


def widest_gap(counts: dict[str, tuple[int, int]]) -> Gap | None:
    """The gap between the groups farthest apart, of `(events, rows)` by group; None with fewer than two groups.

    The interval of a difference is made of the two rates' own (Newcombe 1998, method 10), each at the level that
    Bonferroni's correction for all pairs, in both orders, asks for.
    """
    if len(counts) < 2:
        return None
    normal = _quantile(1 - _BY_CHANCE / (len(counts) * (len(counts) - 1)))
    rates = sorted(
        (group_rate(group, *held, normal=normal) for group, held in counts.items()),
        key=lambda one: (one.value, one.group),
    )
    least, most = rates[0], rates[-1]
    value = most.value - least.value
    return Gap(
        highest=most.group,
        lowest=least.group,
        value=value,
        low=value - math.hypot(most.value - most.low, least.high - least.value),
        high=min(value + math.hypot(most.high - most.value, least.value - least.low), 1.0),
        rows=most.rows + least.rows,
    )


def _quantile(chance: float) -> float:
    """The standard normal quantile by bisection: a few dozen steps, and no import of half a second."""
    low, high = 0.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (1 + math.erf(middle / math.sqrt(2))) / 2 < chance else (low, middle)
    return (low + high) / 2
