"""Objectives window by window: which of them failed, and which of that stands as a condition.

The windows of late are remembered with what each of them said, so that labels which come later, or are corrected, make the
conditions what they had been if the labels had been known at once.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from kept.core.durations import format_duration
from kept.monitoring.conditions import standing_after, streaks
from kept.plan.policy import Broken

# How far back late labels are added to a window's metrics.
WINDOWS_BACK = 90


class JudgedWindow(msgspec.Struct, frozen=True, kw_only=True):
    """What the champion's labelled predictions of a window, and of the stretch that ends with it, say of the objectives."""

    start: datetime
    labelled: bool = False
    """Whether it has labels: a window without any says nothing."""
    failed: dict[str, bool] = {}
    """Of each objective that could be judged, whether it failed in the window."""
    failed_over: dict[str, bool] = {}
    """The same over the stretch, where the project declares one."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How the objectives stand behind a window."""

    start: datetime
    streaks: dict[str, int]
    """How many windows in a row each has failed."""
    found: dict[str, int]
    """The broken ones, as titles of alerts, and for how many windows in a row each has failed."""
    standing: dict[str, int]
    """Broken ones that last, and for how many windows each has been away."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """The windows that were judged, oldest first."""

    streaks: dict[str, int] = {}
    """As they stood before these windows."""
    standing: dict[str, int] = {}
    windows: tuple[JudgedWindow, ...] = ()

    def of(self, start: datetime) -> JudgedWindow | None:
        """What is remembered of a window; None where it was not judged, or long ago."""
        return next((one for one in self.windows if one.start == start), None)

    def with_window(self, one: JudgedWindow) -> "Judged":
        """The windows with this one, which takes the place of what was known of it before."""
        others = (each for each in self.windows if each.start != one.start)
        return msgspec.structs.replace(self, windows=tuple(sorted([one, *others], key=lambda each: each.start)))

    def course(self, trigger: Broken) -> Iterator[Standing]:
        """How the objectives stood behind each window that has labels, by what makes one broken."""
        counted, standing = self.streaks, self.standing
        for one in self.windows:
            if not one.labelled:
                continue
            counted = streaks(counted, one.failed)
            if trigger.over is None:
                broken = {name: times for name, times in counted.items() if times >= trigger.windows}
            else:
                broken = {name: counted.get(name, 0) for name, fails in one.failed_over.items() if fails}
            found = {title_of(name, trigger): times for name, times in broken.items()}
            standing = standing_after(standing, found)
            yield Standing(start=one.start, streaks=counted, found=found, standing=standing)

    def newest(self, trigger: Broken) -> "Judged":
        """The last windows; what those before them said stays in how the objectives stood before."""
        early = msgspec.structs.replace(self, windows=self.windows[:-WINDOWS_BACK])
        streaks_before, standing = self.streaks, self.standing
        for one in early.course(trigger):
            streaks_before, standing = one.streaks, one.standing
        return Judged(streaks=streaks_before, standing=standing, windows=self.windows[-WINDOWS_BACK:])

    def unlabelled(self) -> "Judged":
        """The windows alone that had no label: what is known of the others was acted on."""
        return Judged(windows=tuple(one for one in self.windows if not one.labelled))


def title_of(objective: str, trigger: Broken) -> str:
    """The title of the alert that an objective is broken."""
    over = "" if trigger.over is None else f" over {format_duration(trigger.over)}"
    return f"{objective} does not hold{over}"


def began(course: Iterable[Standing], title: str) -> Standing | None:
    """Where a condition that stands at the end of a course began; None where that was before it."""
    start: Standing | None = None
    for one in course:
        if title not in one.standing:
            start = None
        elif start is None and title in one.found:
            start = one
    return start
