"""Compaction: many small writes to a table, put together now and then."""

from dataclasses import dataclass

import polars as pl

from kept.store.tables import Tables

# A compaction writes most of the table anew and the old files stay for readers of older versions. So it waits until a
# quarter of the table is new, or until there are so many files that reading suffers.
_FEW_FILES = 64
_MANY_FILES = 1000
_NEW_SHARE = 0.25


class Compaction:
    """Compacts the tables that one writer adds small files to, when it is worth it."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._loose: dict[str, _Loose] = {}

    def wrote(self, table: str, rows: int) -> None:
        """Notes a write of so many rows."""
        loose = self._loose.setdefault(table, _Loose())
        loose.files += 1
        loose.rows += rows

    def compact(self) -> None:
        """Compacts the tables for which it is time."""
        for table, loose in list(self._loose.items()):
            if loose.files < _FEW_FILES or loose.files < loose.asked_at * 2:
                continue
            loose.asked_at = loose.files
            rows = self._tables.read(table).select(pl.len()).collect().item()
            if loose.files >= _MANY_FILES or loose.rows >= rows * _NEW_SHARE:
                self._tables.compact(table)
                self._loose[table] = _Loose()


@dataclass
class _Loose:
    """Small files and their rows since a table's last compaction, and how many there were when it was last considered."""

    files: int = 0
    rows: int = 0
    asked_at: int = 0
