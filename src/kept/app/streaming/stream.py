"""The stream scorer: messages from one topic, answers to another, at least once.

The order of one turn is what makes it safe to be killed anywhere: messages are scored, the answers are in the prediction log,
then they are delivered, and only then are the messages committed. What was done and not committed is done again, with the
same prediction ids.
"""

from collections.abc import Callable

import msgspec

from kept.app.streaming.counts import StreamCounts
from kept.app.streaming.judging import Judge, Judged
from kept.app.streaming.log import StreamLog
from kept.app.streaming.message import Headers, Message, Partition, Produced, Sink, Source

_JSON = ("content-type", b"application/json")


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
        judge: gives the model that scores now; it is asked before each turn.
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
        judge: Callable[[], Judge],
        log: StreamLog,
        counts: StreamCounts,
        *,
        most: int = 5_000,
        wait: float = 0.5,
    ) -> None:
        self._source = source
        self._sink = sink
        self._topics = topics
        self._judge = judge
        self._log = log
        self._counts = counts
        self._most = most
        self._wait = wait

    def turn(self) -> int:
        """Scores what has come, and gives how many messages that were. `Unavailable` when the stream or a store is lost."""
        messages = self._source.take(self._most, self._wait)
        if not messages:
            return 0
        ends: dict[Partition, int] = {}
        for message in messages:
            ends[message.partition] = message.offset + 1
        judged = self._judge().judge(messages)
        repeats = self._log.write(judged, ends)
        self._sink.send([*self._answers(judged), *self._dead_letters(judged)])
        self._source.commit(ends)
        self._counts.add(
            scored=len(judged.messages),
            refused=len(judged.refused),
            repeats=repeats,
            behind=self._source.behind(ends),
            version=judged.note.number,
        )
        return len(messages)

    def _answers(self, judged: Judged) -> list[Produced]:
        return [
            Produced(topic=self._topics.answers, key=message.key, value=answer, headers=_headers(message, _JSON))
            for message, answer in zip(judged.messages, judged.answers, strict=True)
        ]

    def _dead_letters(self, judged: Judged) -> list[Produced]:
        return [
            Produced(
                topic=self._topics.dead_letters,
                key=one.message.key,
                value=one.message.value,
                headers=_headers(one.message, ("kept-reason", one.reason.encode()), ("kept-id", one.id.encode())),
            )
            for one in judged.refused
        ]


def _headers(message: Message, *more: tuple[str, bytes]) -> Headers:
    """The headers that a message came with, where it stood, and more."""
    return (*message.headers, ("kept-source", message.place.encode()), *more)
