"""Retention of the prediction log: old rows, unread versions of its tables, and bytes set aside are removed."""

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kept.core.clock import Clock
from kept.core.durations import duration
from kept.core.errors import NotFound
from kept.settings.settings import Settings
from kept.store.spool import is_live
from kept.store.tables import Tables

# The tables of the log, whose present alone counts. Those of data, features and labels keep every version.
PARTS = ("predictions", "prediction_errors")
# Who reads a version reads it to the end within this time.
LONGEST_READ = timedelta(hours=1)
_FIRST_SECONDS, _EVERY_SECONDS = 60.0, 3600.0
_SET_ASIDE = timedelta(days=30)


def log_keep(settings: Settings) -> timedelta | None:
    """How long the log is kept; None for ever."""
    return duration(settings.log_keep, where="log_keep") if settings.log_keep else None


class Retention:
    """Tends the tables and the spools of the log now and then. One at a time does, under the shippers' lock.

    Rows go by when their requests came, within a day (a tenth of `keep`, if that is less) after their time. A wall clock that
    jumps ahead while this lives takes no row with it: time passes here as the machine's steady clock says.

    Args:
        spools: the folder of all spools.
        tables: the tables.
        clock: the time.
        keep: how long rows are kept; None for ever.
        steady: seconds that only grow.
    """

    def __init__(
        self,
        spools: Path,
        tables: Tables,
        clock: Clock,
        keep: timedelta | None,
        *,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spools = spools
        self._tables = tables
        self._clock = clock
        self._keep = keep
        self._steady = steady
        self._began = clock.now(), steady()
        self._due_at = steady() + _FIRST_SECONDS
        self._forgot: dict[str, datetime] = {}
        self._vacuumed: dict[str, tuple[int | None, bool]] = {}

    @property
    def due(self) -> bool:
        """Whether it is time to tend."""
        return self._steady() >= self._due_at

    def tend(self) -> None:
        """Takes out what is too old, and gives back the disk of what nothing needs any more."""
        self._due_at = self._steady() + _EVERY_SECONDS
        now = self._now()
        for part in PARTS:
            for table in self._tables.names(part):
                # A table may be going at this moment.
                with contextlib.suppress(NotFound):
                    self._forget(table, now)
                    self._vacuum(table)
        self._clear(now)

    def _now(self) -> datetime:
        began, steady = self._began
        return min(self._clock.now(), began + timedelta(seconds=self._steady() - steady))

    def _forget(self, table: str, now: datetime) -> None:
        if self._keep is None:
            return
        last = self._forgot.get(table)
        if last is not None and now - last < min(self._keep / 10, timedelta(days=1)):
            return
        self._tables.forget(table, "received_at", now - self._keep)
        self._forgot[table] = now

    def _vacuum(self, table: str) -> None:
        """Once for each change, and once more when what was too young then is old enough."""
        version, again = self._vacuumed.get(table, (None, False))
        changed = self._tables.version(table) != version
        if changed or again:
            self._tables.vacuum(table, LONGEST_READ)
            self._vacuumed[table] = (self._tables.version(table), changed)

    def _clear(self, now: datetime) -> None:
        """Takes away bytes that were set aside, and folders that a killed process had no time to name."""
        before = now - min(_SET_ASIDE, self._keep or _SET_ASIDE)
        for path in [*self._spools.glob("*/*.torn"), *self._spools.glob(".new-*")]:
            with contextlib.suppress(OSError):
                if datetime.fromtimestamp(path.stat().st_mtime, UTC) < before:
                    _remove(path)
        for folder in self._spools.glob("*"):
            if (
                folder.is_dir()
                and not folder.name.startswith(".")
                and not any(folder.iterdir())
                and not is_live(folder)
            ):
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _remove(path: Path) -> None:
    if not path.is_dir():
        path.unlink()
        return
    for inside in path.iterdir():
        inside.unlink()
    path.rmdir()
