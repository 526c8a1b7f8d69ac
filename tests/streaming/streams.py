"""Models of streams, and streams without brokers."""

from pathlib import Path

from brokers import value

from kept.app.streaming.counts import StreamCounts
from kept.app.streaming.judging import Beside, Judge
from kept.app.streaming.log import StreamLog
from kept.app.streaming.message import Message, Partition, Produced, Sink, Source
from kept.app.streaming.stream import StreamScorer, Topics
from kept.core.clock import SystemClock
from kept.deployment.routing import Arm
from kept.serving.runtime import LoadedModel
from kept.store.tables import DeltaTables

GROUP = "scorers"
TOPICS = Topics(answers="answers", dead_letters="dead")


def judge(bundle: Path, number: int = 3, stream: str = GROUP, **beside: str) -> Judge:
    arm = Arm(version_id=f"v{number}", number=number, model="late", bundle="sha256:0")
    return Judge("late", arm, LoadedModel(bundle), stream, Beside(**beside))


class Judges:
    """Models as they are released: the last one scores, and those before are still there."""

    def __init__(self, *released: Judge) -> None:
        self.released = list(released)

    def __call__(self) -> Judge:
        return self.released[-1]

    def of(self, version_id: str) -> Judge | None:
        return next((one for one in self.released if one.version_id == version_id), None)


def message(place: int, topic: str = "rides", *, good: bool = True, time_ms: int = 1) -> Message:
    told = value(distance=float(place), hour=1) if good else b"{"
    return Message(partition=Partition(topic, 0), offset=place, time_ms=time_ms, value=told)


class Held:
    """A stream that holds these messages, and what is sent; from whom nothing is committed, all of it comes again."""

    def __init__(self, messages: list[Message]) -> None:
        self.messages = messages
        self.sent: list[Produced] = []
        self.committed: dict[Partition, int] = {}

    def take(self, most: int, _: float) -> list[Message]:
        waiting = [one for one in self.messages if one.offset >= self.committed.get(one.partition, 0)]
        return waiting[:most]

    def send(self, messages: list[Produced]) -> None:
        self.sent += messages

    def commit(self, ends: dict[Partition, int]) -> None:
        self.committed |= ends

    def end(self, partition: Partition) -> int | None:
        return max(one.offset for one in self.messages if one.partition == partition) + 1

    def behind(self, ends: dict[Partition, int]) -> int:
        return len(self.messages) - sum(ends.values())


def scorer(
    source: Source, sink: Sink, tables: DeltaTables, judges: Judges, stream: str = GROUP, *, most: int = 500
) -> StreamScorer:
    log = StreamLog(tables, SystemClock(), "late", stream)
    return StreamScorer(source, sink, TOPICS, judges, log, StreamCounts(), most=most, wait=0.3)
