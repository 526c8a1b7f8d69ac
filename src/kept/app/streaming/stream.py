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
from kept.app.streaming.message import Message, Partition, Produced, Sink, Source

_JSON = ("content-type", b"application/json")
# Of what is sent: producers and brokers take a million bytes unless they are told otherwise, and headers are added.
_MOST_BYTES = 900_000


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
