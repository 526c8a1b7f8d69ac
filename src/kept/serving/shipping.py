"""From the spools to the tables, exactly once, in the worker process.

Each append carries the position in the log up to which it goes, in the very transaction that adds the rows (`once`). What
was shipped is therefore known from the table alone, and a shipper that is killed anywhere begins again from there.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from kept.core.clock import Clock
from kept.core.errors import Damaged, NotFound
from kept.governance.workspace import Workspace
from kept.serving.compaction import Compaction
from kept.serving.entries import Answered, ArmNote, Entry, Failed, frames
from kept.serving.frames import error_rows, prediction_rows
from kept.serving.retention import Retention
from kept.store.process_lock import alone
from kept.store.spool import begin_size, is_live, segments
from kept.store.tables import Tables

_MOST_ROWS = 100_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_logger = logging.getLogger("kept.shipping")


class Shipped(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at the spools brought into the tables.

    Args:
        rows: predictions.
        errors: failed requests.
        by_endpoint: predictions by endpoint.
        newest_event_time: of these predictions, None without any.
        event_times: the newest event time by endpoint.
    """

    rows: int = 0
    errors: int = 0
    by_endpoint: dict[str, int] = msgspec.field(default_factory=dict)
    newest_event_time: datetime | None = None
    event_times: dict[str, datetime] = msgspec.field(default_factory=dict)


def ship(workspace: Workspace) -> Shipped:
    """Ships what the spools of a workspace hold. A worker that does this again and again keeps a `Shipper`."""
    return Shipper(workspace.root / "spool", workspace.tables, workspace.clock).ship()


class Shipper:
    """Ships again and again, remembering how far it has read. Several may be at work; they take turns by a lock.

    Args:
        root: the folder of all spools.
        tables: the tables.
        clock: the time.
        keep: how long the log is kept; None for ever.
    """

    def __init__(self, root: Path, tables: Tables, clock: Clock, *, keep: timedelta | None = None) -> None:
        self._root = root
        self._tables = tables
        self._clock = clock
        self._read: dict[str, _Reading] = {}
        self._compaction = Compaction(tables)
        self._retention = Retention(root, tables, clock, keep)

    def ship(self) -> Shipped:
        """Ships all that is in the spools now and removes segments that are shipped whole; nothing when another shipper is at it.

        A spool that cannot be shipped holds up no other; what was wrong with it is raised when the others are.
        """
        total = _Total()
        troubles: list[Exception] = []
        with alone(self._lock()) as mine:
            if mine:
                for spool in sorted(
                    path for path in self._root.iterdir() if path.is_dir() and not path.name.startswith(".")
                ):
                    try:
                        self._ship_spool(spool, total)
                    except Exception as error:  # noqa: BLE001 - it is raised below
                        _logger.warning("%s waits: %s", spool, error)
                        troubles.append(error)
                self._compaction.compact()
        if troubles:
            raise troubles[0]
        return total.shipped()

    def tend(self) -> None:
        """Keeps the log from growing without bound, now and then; nothing when it is not time, or another shipper is at it."""
        if self._retention.due:
            with alone(self._lock()) as mine:
                if mine:
                    self._retention.tend()

    def _lock(self) -> Path:
        self._root.mkdir(parents=True, exist_ok=True)
        return self._root / ".lock"

    def _ship_spool(self, spool: Path, total: "_Total") -> None:
        # Asked first: what a dead process wrote is all there when it is read after.
        live = is_live(spool)
        reading = self._read.setdefault(spool.name, _Reading())
        found = segments(spool)
        for place, (start, path) in enumerate(found):
            closed = not live or place + 1 < len(found)
            for batch in reading.batches(start, path, closed=closed):
                self._append(spool.name, batch, total)
            if closed:
                reading.leave(start, path)
        if not live and not segments(spool):
            # What was set aside keeps the folder.
            if not any(spool.iterdir()):
                spool.rmdir()
            self._read.pop(spool.name, None)

    def _append(self, spool: str, batch: "_Batch", total: "_Total") -> None:
        for endpoint, answered in batch.answered.items():
            table, writer = f"predictions/{endpoint}", f"spool/{spool}/{endpoint}"
            last = self._tables.last(table, writer)
            fresh = [entry for entry in answered if last is None or entry[0] > last]
            if fresh:
                now = self._clock.now()
                rows = prediction_rows(fresh, spool=spool, shipped_at=now, existing=self._columns(table))
                self._write(table, rows, (writer, fresh[-1][0]))
                total.add(endpoint, rows.height, max(max(entry.event_times) for _, _, entry in fresh))
        for endpoint, failed in batch.failed.items():
            table, writer = f"prediction_errors/{endpoint}", f"spool/{spool}/{endpoint}"
            last = self._tables.last(table, writer)
            missing = [entry for entry in failed if last is None or entry[0] > last]
            if missing:
                self._write(
                    table, error_rows(missing, spool=spool, shipped_at=self._clock.now()), (writer, missing[-1][0])
                )
                total.errors += len(missing)

    def _write(self, table: str, rows: pl.DataFrame, once: tuple[str, int]) -> None:
        self._tables.append(table, rows, once=once)
        self._compaction.wrote(table, rows.height)

    def _columns(self, table: str) -> dict[str, Any]:
        try:
            return dict(self._tables.read(table).collect_schema())
        except NotFound:
            return {}


class _Batch:
    """Entries by endpoint, each with the position behind its frame."""

    def __init__(self) -> None:
        self.answered: dict[str, list[tuple[int, ArmNote, Answered]]] = {}
        self.failed: dict[str, list[tuple[int, Failed]]] = {}
        self.rows = self.unknown = 0

    def add(self, position: int, entries: list[Entry], notes: dict[str, ArmNote]) -> None:
        """Takes a frame in. What was answered by an arm whose note was torn cannot be told of, and is counted as unknown."""
        for entry in entries:
            if isinstance(entry, ArmNote):
                notes[entry.key] = entry
            elif isinstance(entry, Answered):
                note = notes.get(entry.arm)
                if note is None:
                    self.unknown += len(entry.ids)
                    continue
                self.answered.setdefault(note.endpoint, []).append((position, note, entry))
                self.rows += len(entry.ids)
            else:
                self.failed.setdefault(entry.endpoint, []).append((position, entry))
                self.rows += 1


class _Reading:
    """How far one spool was read."""

    def __init__(self) -> None:
        self._position = 0
        self._segment = -1
        self._torn = 0
        self._notes: dict[str, ArmNote] = {}

    def batches(self, start: int, path: Path, *, closed: bool) -> Iterator[_Batch]:
        """What is new in a segment, in pieces; a piece counts as read when the next one is asked for.

        In one that nobody writes any more (`closed`), what is torn is passed over.
        """
        if start != self._segment:
            self._segment, self._notes = start, {}
            self._position, self._torn = start, 0
        batch, position = _Batch(), self._position
        try:
            for position, entries in frames(path, start, after=self._position, torn=self._pass if closed else None):
                batch.add(position, entries, self._notes)
                if batch.unknown:
                    self._torn += batch.unknown
                    _logger.error("%s: %d predictions stand behind a torn note", path, batch.unknown)
                    batch.unknown = 0
                if batch.rows >= _MOST_ROWS:
                    yield batch
                    batch, self._position = _Batch(), position
        except Damaged as error:
            _logger.warning("%s", error)
        if batch.rows:
            yield batch
        self._position = position

    def leave(self, start: int, path: Path) -> None:
        """Removes a segment that nobody writes any more. Bytes that are no whole frame are set aside, not removed."""
        size = path.stat().st_size
        rest = size - (self._position - start) + self._torn
        if rest == 0 or size <= begin_size(path):
            path.unlink()
        else:
            _logger.error("%s has %d bytes that are no whole frame; it was set aside", path, rest)
            path.rename(path.with_suffix(".torn"))
        self._segment = -1

    def _pass(self, torn: int) -> None:
        self._torn += torn


class _Total:
    """Sums up one look."""

    def __init__(self) -> None:
        self.errors = 0
        self._rows: dict[str, int] = {}
        self._newest: dict[str, int] = {}

    def add(self, endpoint: str, rows: int, newest: int) -> None:
        """Rows of an endpoint and their newest event time, in microseconds."""
        self._rows[endpoint] = self._rows.get(endpoint, 0) + rows
        self._newest[endpoint] = max(newest, self._newest.get(endpoint, newest))

    def shipped(self) -> Shipped:
        """The sum."""
        times = {endpoint: _EPOCH + timedelta(microseconds=moment) for endpoint, moment in self._newest.items()}
        return Shipped(
            rows=sum(self._rows.values()),
            errors=self.errors,
            by_endpoint=self._rows,
            newest_event_time=max(times.values(), default=None),
            event_times=times,
        )
