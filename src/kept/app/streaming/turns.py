"""Which versions answered a stream's turns, as the tables tell it.

When much of a stream comes again, it is asked about in small steps, and the log holds more turns than fit into memory. So a
stretch of it is read at a time, and remembered.
"""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from typing import NamedTuple

import polars as pl

from kept.store.tables import Tables

# So far beyond what is asked about a stretch goes, in offsets.
_AHEAD = 50_000


class _Stretch(NamedTuple):
    """Turns in a row: where each ends, and its version. It tells of offsets from `first` to before the last end."""

    first: int
    ends: list[int]
    versions: list[str]


class Turns:
    """Turns as rows tell them by `spool` (who wrote), `position` (the offset behind the turn's last message) and `version_id`.

    Args:
        tables: the tables.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._known: dict[str, _Stretch] = {}

    def versions(self, writer: str, offsets: Sequence[int], among: Collection[str]) -> list[str | None]:
        """The versions of the turns that hold these offsets; None where no turn ends behind.

        Args:
            writer: who wrote them.
            offsets: which.
            among: tables with rows of the writer whose position is beyond the first of the offsets.
        """
        first, final = min(offsets), max(offsets)
        known = self._known.get(writer)
        if known is None or first < known.first or not known.ends or final >= known.ends[-1]:
            known = self._known[writer] = self._read(writer, first, final, among)
        places = [bisect_right(known.ends, offset) for offset in offsets]
        return [known.versions[place] if place < len(known.ends) else None for place in places]

    def _read(self, writer: str, first: int, final: int, among: Collection[str]) -> _Stretch:
        limit = final + _AHEAD
        found: dict[int, str] = {}
        for table in among:
            found.update(self._between(table, writer, first, limit))
        if not found or max(found) <= final:
            # Offsets may have gaps, and a turn may have come to an end far behind.
            beyond = [end for table in among if (end := self._next_end(table, writer, limit)) is not None]
            for table in among if beyond else ():
                found.update(self._between(table, writer, min(beyond) - 1, min(beyond)))
        ends = sorted(found)
        return _Stretch(first, ends, [found[end] for end in ends])

    def _between(self, table: str, writer: str, after: int, until: int) -> dict[int, str]:
        """The ends of turns behind `after` and up to `until`, and their versions."""
        wanted = (pl.col("spool") == writer) & (pl.col("position") > after) & (pl.col("position") <= until)
        rows = self._tables.read(table).filter(wanted).select("position", "version_id").unique()
        return dict(rows.collect(engine="streaming").iter_rows())

    def _next_end(self, table: str, writer: str, after: int) -> int | None:
        """The first end of a turn behind `after`."""
        wanted = (pl.col("spool") == writer) & (pl.col("position") > after)
        ends = self._tables.read(table).filter(wanted).select(pl.col("position").min())
        end: int | None = ends.collect(engine="streaming").item()
        return end
