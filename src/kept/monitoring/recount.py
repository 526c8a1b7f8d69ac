"""Counting windows of traffic again, when rows have come late to the first of them."""

from datetime import datetime

import msgspec

RECOUNTED = "rows_recounted"
"""Rows of a window that was counted again, since some of them had come late."""
TOO_LATE = "rows_too_late"
"""Rows that came too late for their window to be counted again: the other numbers of the window do not know of them."""
WHY = "rows that came late do not show it"


class RecountedWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A window that is counted again."""

    start: datetime
    rows: int
    """How many rows it has, some of which came late; 0 where it only follows such a window."""
    failures_until: datetime | None
    """When the last request came up to which failures were counted in it: they stay where they were counted."""


class Recount(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be known while windows are counted again that people were told of."""

    until: datetime
    """The end of the last window that was judged before."""
    told: tuple[str, ...]
    """Titles of alerts that were raised for these windows, or stood before: nobody is told of them again."""
    stood: tuple[str, ...]
    """Those of them that stood: what does not stand at the end is taken back."""
    windows: tuple[RecountedWindow, ...]

    def of(self, start: datetime) -> RecountedWindow | None:
        """The window that begins then, if it is one of those to be counted again."""
        return next((one for one in self.windows if one.start == start), None)

    def also(self, earlier: "Recount | None") -> "Recount":
        """With one that had not come to its end."""
        if earlier is None:
            return self
        mine = {one.start for one in self.windows}
        return Recount(
            until=max(self.until, earlier.until),
            told=tuple(dict.fromkeys((*self.told, *earlier.told))),
            stood=tuple(dict.fromkeys((*self.stood, *earlier.stood))),
            windows=(*self.windows, *(one for one in earlier.windows if one.start not in mine)),
        )
