"""The stream scorer: messages from one topic, answers to another, at least once.

The order of one turn is what makes it safe to be killed anywhere: messages are scored, the answers are in the prediction log,
then they are delivered, and only then are the messages committed. What was done and not committed is done again, with the
same prediction ids and by the version that did it before: what is sent is what is logged, whatever was released meanwhile.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Protocol

import msgspec

from kept.app.streaming.counts import StreamCounts
from kept.app.streaming.judging import Judge, Judged
from kept.app.streaming.log import StreamLog
from kept.app.streaming.message import Message, Partition, Produced, Sink, Source
from kept.core.errors import Conflict, Invalid, Unavailable

_JSON = ("content-type", b"application/json")
# Of what is sent: producers and brokers take a million bytes unless they are told otherwise, and headers are added.
_MOST_BYTES = 900_000
_ATTEMPTS = 10


class Judges(Protocol):
    """Give the models that score."""

    def __call__(self) -> Judge:
        """The one that scores now."""
        ...

    def of(self, version_id: str) -> Judge | None:
        """That of a version that scored before; None when the version is no more."""
        ...


class Topics(msgspec.Struct, frozen=True, kw_only=True):
    """Where things go."""

    answers: str
    dead_letters: str


class StreamScorer:
    """Scores a stream, turn by turn.

    Args:
        source: the messages.
        sink: takes answers and dead letters.
        topics: where both go.
        judges: give the model that scores now; they are asked before each turn.
        log: the prediction log.
        counts: what is counted.
        most: messages that are scored at a time.
        wait: seconds that the first of them may wait for the others.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        topics: Topics,
        judges: Judges,
        log: StreamLog,
        counts: StreamCounts,
        *,
        most: int = 5_000,
        wait: float = 0.5,
    ) -> None:
        self._source = source
        self._sink = sink
        self._topics = topics
        self._judges = judges
        self._log = log
        self._counts = counts
        self._most = most
        self._wait = wait

    def turn(self) -> int:
        """Scores what has come, and gives how many messages that were.

        Raises:
            Unavailable: the stream or a store is lost.
            Invalid: the topic is another one than was scored before.
        """
        messages = self._source.take(self._most, self._wait)
        if not messages:
            return 0
        ends = _ends(messages)
        judge = self._judges()
        judged, repeats = self._logged(messages, judge)
        self._sink.send([sent for one in judged for sent in (*self._answers(one), *self._dead_letters(one))])
        self._source.commit(ends)
        self._counts.add(
            scored=sum(len(one.messages) for one in judged),
            refused=sum(len(one.refused) for one in judged),
            repeats=repeats,
            behind=self._source.behind(ends),
            version=judge.note.number,
        )
        return len(messages)

    def _logged(self, messages: list[Message], judge: Judge) -> tuple[list[Judged], int]:
        """What is said of messages, once it is in the log, and how many of the answers were there before."""
        for _ in range(_ATTEMPTS):
            judged, repeats = [], 0
            try:
                for one, part in self._parts(messages, judge):
                    judged.append(one.judge(part))
                    repeats += self._log.write(judged[-1], _ends(part))
            except Conflict:
                # Somebody else has, or had, a partition of ours: what it answered is answered as it did.
                continue
            return judged, repeats
        fix = "See which other processes score this stream in the same group"
        raise Unavailable(f"others wrote in between {_ATTEMPTS} times", where="prediction log", fix=fix)

    def _parts(self, messages: list[Message], judge: Judge) -> Iterator[tuple[Judge, list[Message]]]:
        """Messages with who is to score them: those that were scored before first, stretch by stretch."""
        again: dict[Partition, list[Message]] = {}
        fresh: list[Message] = []
        lasts = {partition: self._log.last(partition) for partition in _ends(messages)}
        for message in messages:
            if message.offset < lasts[message.partition]:
                again.setdefault(message.partition, []).append(message)
            else:
                fresh.append(message)
        for partition, mine in again.items():
            self._check_end(partition, lasts[partition])
            versions = self._log.versions(partition, [message.offset for message in mine])
            for version, pairs in groupby(zip(versions, mine, strict=True), key=lambda pair: pair[0]):
                before = None if version is None else self._judges.of(version)
                yield before or judge, [message for _, message in pairs]
        if fresh:
            yield judge, fresh

    def _check_end(self, partition: Partition, last: int) -> None:
        """Refuses a topic that ends before what was scored of it: it was made anew, or lost messages."""
        end = self._source.end(partition)
        if end is not None and end < last:
            what = f"partition {partition.number} holds {end} messages, and {last} were scored: it was made anew"
            raise Invalid(what, where=f"topic {partition.topic}", fix="Score it in another group, with --group")

    def _answers(self, judged: Judged) -> list[Produced]:
        return [
            _produced(self._topics.answers, message, answer, _JSON)
            for message, answer in zip(judged.messages, judged.answers, strict=True)
        ]

    def _dead_letters(self, judged: Judged) -> list[Produced]:
        return [
            _produced(
                self._topics.dead_letters,
                one.message,
                one.message.value,
                ("kept-reason", one.reason.encode()),
                ("kept-id", one.id.encode()),
            )
            for one in judged.refused
        ]


def _ends(messages: list[Message]) -> dict[Partition, int]:
    return {message.partition: message.offset + 1 for message in messages}


def _produced(topic: str, message: Message, value: bytes | None, *more: tuple[str, bytes]) -> Produced:
    """A message that follows from another: with its key and headers, where it stood, and more.

    What would be too large is sent without the key, the headers and the value that came, and says so in `kept-left-out`.
    """
    more = (("kept-source", message.place.encode()), *more)
    carried = sum(len(name) + len(content or b"") for name, content in message.headers)
    if len(message.key or b"") + len(value or b"") + carried <= _MOST_BYTES:
        return Produced(topic=topic, key=message.key, value=value, headers=(*message.headers, *more))
    kept = None if value is message.value else value
    return Produced(topic=topic, key=None, value=kept, headers=(*more, ("kept-left-out", b"too large")))
