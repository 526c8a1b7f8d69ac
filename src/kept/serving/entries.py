"""What stands in the prediction log's spool, and the form it has on disk (format 2).

The form of spools is that of `kept.store.spool`; a segment begins with the 8 bytes `KEPTLOG2`, and a frame's payload is a
MessagePack array of entries. One frame holds what one turn of the event loop answered. Entries are arrays that begin
with their tag. A field may come to an entry behind the others, with a default: older segments lack it, older readers pass it over.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from kept.core.errors import Damaged
from kept.store.spool import payloads

MAGIC = b"KEPTLOG"


class ArmNote(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="arm"):
    """What the predictions of an arm mean; it stands in each segment before the arm's first predictions.

    Args:
        key: what `Answered` calls the arm by.
        endpoint: the endpoint.
        version_id: the model version.
        number: its number.
        model: its model.
        bundle: digest of its bundle.
        role: champion, canary, challenger or shadow; fallback where it answered for another, rule or constant where none answered;
            stream where it scored a stream.
        task: binary, multiclass, regression or tensors.
        classes: the class labels as text, in the order of the scores.
        names: the features, in the order they are logged.
        kinds: their kinds: number, integer, boolean, category, text, tensor.
        share: share of the answered requests that are logged; not in segments written before there was a choice.
        outputs: the tensors that it answers, in order; not in segments written before there were such.
    """

    key: str
    endpoint: str
    version_id: str
    number: int
    model: str
    bundle: str
    role: str
    task: str
    classes: tuple[str, ...]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    share: float = 1.0
    outputs: tuple[str, ...] = ()


class Answered(msgspec.Struct, kw_only=True, array_like=True, tag="ok", gc=False):
    """Predictions of one arm, a list item per row. Times are microseconds since 1970.

    Args:
        arm: key of the arm.
        ids: ids of the predictions.
        answers: ids of the predictions that were returned for these rows, where those are not these (shadows).
        event_times: when what is predicted happened, as sent, else when the request came.
        received_at: when the request came.
        keys: keys as sent, or null.
        features: the values as sent, in the arm's order; of a tensor what `kept.serving.logged_tensors` makes of it.
        scores: a probability (binary), a value (regression) or the list of probabilities (multiclass); where the arm answers
            tensors a pair: that (or None), and the list of them.
        latencies_us: from the request's last byte to its answer.
    """

    arm: str
    ids: list[str]
    answers: list[str] | None
    event_times: list[int]
    received_at: list[int]
    keys: list[str | None]
    features: Sequence[Any]
    scores: list[Any]
    latencies_us: list[int]


class Failed(msgspec.Struct, kw_only=True, array_like=True, tag="failed", gc=False):
    """A request that got no prediction, and why. `version_id` and `role` are empty when no version was there to ask."""

    id: str
    endpoint: str
    version_id: str
    role: str
    received_at: int
    status: int
    reason: str
    rows: int
    latency_us: int


Entry = ArmNote | Answered | Failed

_decoder = msgspec.msgpack.Decoder(list[Entry])


def frames(
    path: Path, start: int, *, after: int = 0, torn: Callable[[int], None] | None = None
) -> Iterator[tuple[int, list[Entry]]]:
    """The whole frames of a segment, each with the offset behind it, up to the first that is torn.

    Args:
        path: the segment.
        start: the offset of its first byte.
        after: an offset behind a frame of this segment, to go on from there.
        torn: told of bytes of no frame, which are passed over then; only for a segment that nobody writes any more.

    Raises:
        Damaged: the file is not a segment, or a frame with the right sum does not hold entries.
    """
    for offset, payload in payloads(path, start, MAGIC, after=after, torn=torn):
        try:
            entries = _decoder.decode(payload)
        except msgspec.DecodeError as error:
            raise Damaged(f"a frame holds what no entry is ({error})", where=str(path)) from error
        yield offset, entries
