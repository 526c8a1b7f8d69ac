"""The prediction log of a stream: each message's answer is in the tables once, however often the message is delivered.

Rows go straight to `predictions/<endpoint>` and `prediction_errors/<endpoint>`, without a spool: the stream itself gives back
what was not committed. Each write carries, for each partition, the offset up to which it goes, in the very transaction that
adds the rows. So a repeat is known from the table alone, with the version that answered it, and of two that work on the same
partition one is told so.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import polars as pl

from kept.app.streaming.judging import ROLE, Judged, Refused
from kept.app.streaming.message import Message, Partition
from kept.app.streaming.turns import Turns
from kept.core.clock import Clock
from kept.core.errors import Conflict, NotFound
from kept.serving.compaction import Compaction
from kept.serving.entries import Answered, Failed
from kept.serving.frames import error_rows, prediction_rows
from kept.serving.logged_tensors import LoggedTensors
from kept.serving.logrules import LogRules
from kept.serving.redaction import redaction_for
from kept.store.tables import Tables

T = TypeVar("T")


class StreamLog:
    """Writes what one consumer group answers.

    Args:
        tables: the tables.
        clock: the time.
        endpoint: whose log it is.
        stream: names cluster, topic and group, so that offsets of another stream are not taken for these.
        rules: what was declared of the log: its share, and what it must not hold.
    """

    def __init__(self, tables: Tables, clock: Clock, endpoint: str, stream: str, rules: LogRules | None = None) -> None:
        self._rules = rules or LogRules()
        self._redaction = redaction_for(self._rules)
        self._tensors = LoggedTensors(self._rules.tensor_values)
        self._tables = tables
        self._clock = clock
        self._endpoint = endpoint
        self._stream = stream
        self._answers, self._refusals = f"predictions/{endpoint}", f"prediction_errors/{endpoint}"
        self._known: dict[tuple[str, Partition], int] = {}
        self._turns = Turns(tables)
        self._compaction = Compaction(tables)

    def last(self, partition: Partition) -> int:
        """The offset behind the last message of a partition that was answered or refused."""
        return max(self._last(table, partition) for table in (self._answers, self._refusals))

    def versions(self, partition: Partition, offsets: Sequence[int]) -> list[str | None]:
        """By their offsets in a partition, the ids of the versions that answered or refused messages; None where none did.

        A turn has one version, and each row tells the end of its turn: what the rows of a turn tell holds for its messages
        that left no row, too.
        """
        first = min(offsets)
        among = [table for table in (self._answers, self._refusals) if self._last(table, partition) > first]
        return self._turns.versions(self._writer(partition), offsets, among)

    def write(self, judged: Judged, ends: Mapping[Partition, int]) -> int:
        """Keeps answers and refusals of messages, and gives how many of the answers to be kept were there already.

        Args:
            judged: what was said of them.
            ends: by partition the offset behind its last message.

        Raises:
            Conflict: somebody else has, or had, a partition of ours, and its messages from here on were not written.
        """
        self._write_refused(judged, ends)
        repeats = self._write_answers(judged, ends)
        self._compaction.compact()
        return repeats

    def _write_refused(self, judged: Judged, ends: Mapping[Partition, int]) -> None:
        def rows(writer: str, end: int, refused: list[Refused]) -> pl.DataFrame:
            failures = [(end, self._failure(one, judged)) for one in refused]
            return error_rows(failures, spool=writer, shipped_at=self._clock.now())

        items = [(one.message, one) for one in judged.refused]
        self._once(self._refusals, items, ends, rows)

    def _write_answers(self, judged: Judged, ends: Mapping[Partition, int]) -> int:
        existing = self._columns(self._answers)
        note, entry = judged.note, judged.entry
        if self._redaction is not None:
            note, entry = self._redaction.of(note, entry)
        if note.outputs:
            entry = self._tensors.entry(entry)
        if self._rules.share < 1.0:
            note = msgspec.structs.replace(note, share=self._rules.share)

        def rows(writer: str, end: int, places: list[int]) -> pl.DataFrame:
            batch = (end, note, _part(entry, places))
            return prediction_rows([batch], spool=writer, shipped_at=self._clock.now(), existing=existing)

        taken = [
            (message, place)
            for place, (message, name) in enumerate(zip(judged.messages, entry.ids, strict=True))
            if self._rules.takes(name)
        ]
        return self._once(self._answers, taken, ends, rows)

    def _once(
        self,
        table: str,
        items: Sequence[tuple[Message, T]],
        ends: Mapping[Partition, int],
        rows_of: Callable[[str, int, list[T]], pl.DataFrame],
    ) -> int:
        """Adds the rows of what is not in the table yet; how many items were there already."""
        of_partition: dict[Partition, list[tuple[int, T]]] = {}
        for message, item in items:
            of_partition.setdefault(message.partition, []).append((message.offset, item))
        marks: dict[str, tuple[int, int]] = {}
        frames: list[pl.DataFrame] = []
        for partition, mine in of_partition.items():
            last, writer = self._last(table, partition), self._writer(partition)
            if fresh := [item for offset, item in mine if offset >= last]:
                marks[writer] = (last, ends[partition])
                frames.append(rows_of(writer, ends[partition], fresh))
        if not frames:
            return len(items)
        rows = pl.concat(frames, how="diagonal")
        try:
            self._tables.advance(table, rows, marks)
        except Conflict:
            self._known.clear()
            raise
        self._compaction.wrote(table, rows.height)
        self._known.update({(table, one): ends[one] for one in of_partition if self._writer(one) in marks})
        return len(items) - rows.height

    def _last(self, table: str, partition: Partition) -> int:
        """The offset behind the last message of a partition that the table knows."""
        place = table, partition
        if place not in self._known:
            self._known[place] = self._tables.last(table, self._writer(partition)) or 0
        return self._known[place]

    def _writer(self, partition: Partition) -> str:
        return f"{ROLE}/{self._stream}/{partition.topic}/{partition.number}"

    def _columns(self, table: str) -> dict[str, Any]:
        try:
            return dict(self._tables.read(table).collect_schema())
        except NotFound:
            return {}

    def _failure(self, refused: Refused, judged: Judged) -> Failed:
        now = int(self._clock.now().timestamp() * 1_000_000)
        failed = Failed(
            id=refused.id,
            endpoint=self._endpoint,
            version_id=judged.note.version_id,
            role=ROLE,
            received_at=refused.message.time_ms * 1000 or now,
            status=refused.status,
            reason=refused.logged,
            rows=1,
            latency_us=0,
        )
        return failed if self._redaction is None else self._redaction.of_failure(failed)


def _part(entry: Answered, places: list[int]) -> Answered:
    """The rows of an entry at these places."""
    if len(places) == len(entry.ids):
        return entry

    def chosen(column: Sequence[Any]) -> list[Any]:
        return [column[place] for place in places]

    return Answered(
        arm=entry.arm,
        ids=chosen(entry.ids),
        answers=None,
        event_times=chosen(entry.event_times),
        received_at=chosen(entry.received_at),
        keys=chosen(entry.keys),
        features=chosen(entry.features),
        scores=chosen(entry.scores),
        latencies_us=chosen(entry.latencies_us),
    )
