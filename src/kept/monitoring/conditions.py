"""Conditions that last: each is said once when it begins, and again only after it has been away."""

from collections.abc import Iterable, Mapping

from kept.monitoring.alerts import RaiseAlert


def news(standing: Iterable[str], found: Mapping[str, RaiseAlert]) -> tuple[list[RaiseAlert], tuple[str, ...]]:
    """The alerts of conditions that are new, and the names of those that stand now."""
    known = set(standing)
    return [alert for name, alert in found.items() if name not in known], tuple(found)


def streaks(before: Mapping[str, int], failed: Mapping[str, bool]) -> dict[str, int]:
    """How many windows in a row each promise has failed. One that was not judged keeps its count."""
    after = dict(before)
    for name, fails in failed.items():
        after[name] = after.get(name, 0) + 1 if fails else 0
    return {name: count for name, count in after.items() if count}
