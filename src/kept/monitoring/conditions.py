"""Conditions that last: each is said once when it begins, and again only after it has been away."""

from collections.abc import Collection, Mapping

from kept.monitoring.alerts import RaiseAlert

# A condition that is away for fewer windows than this comes and goes: that is one condition, told once.
AWAY = 7


def news(standing: Mapping[str, int], found: Mapping[str, RaiseAlert]) -> tuple[list[RaiseAlert], dict[str, int]]:
    """The alerts of conditions that are new, and all that stand now with the windows for which they have been away."""
    return [alert for name, alert in found.items() if name not in standing], standing_after(standing, found)


def standing_after(standing: Mapping[str, int], found: Collection[str]) -> dict[str, int]:
    """All conditions that stand behind a window, with the windows for which each has been away."""
    away = {name: windows + 1 for name, windows in standing.items() if name not in found and windows + 1 < AWAY}
    return {**dict.fromkeys(found, 0), **away}


def streaks(before: Mapping[str, int], failed: Mapping[str, bool]) -> dict[str, int]:
    """How many windows in a row each promise has failed. One that was not judged keeps its count."""
    after = dict(before)
    for name, fails in failed.items():
        after[name] = after.get(name, 0) + 1 if fails else 0
    return {name: count for name, count in after.items() if count}
