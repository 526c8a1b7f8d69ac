"""Log entries as the rows of the tables `predictions/<endpoint>` and `prediction_errors/<endpoint>`.

predictions: `id`; `answer_id` (the prediction that was returned for this row: the same id, except for shadows); `event_time`
(as sent, else when the request came) and `received_at`, UTC; `shipped_at`; `spool` and `position` (process and place in its
log); `version_id`, `version` (its number), `role` (of a fallback: `fallback` where another version answered, `rule` or
`constant` where none did, with no `version_id` and the version 0; of a stream's messages: `stream`); `share` (of the answered requests that were logged, so that a row stands
for 1 / share rows; null in rows from before there was a choice, when all were); `key` (as sent, or null); `latency_us`;
`score` (binary: probability of the second class; regression: the value; else null); `prediction` (the class as text, null
for regression; booleans are `true` and `false`); `scores` (multiclass: a probability per class; else null); and
`feature_<name>` for each feature, typed by the signature (text for one that is hashed; one that is dropped has no column). A
feature that comes with a type its column cannot hold gets a column `feature_<name>__<kind>`. A table has no two columns whose
names differ by case alone: the later one gets `__case` and a digest of its name behind it, which `plain_names` takes off.
A feature that is a tensor has `feature_<name>__norm`, its Euclidean norm, and `tensor_<name>`: its `shape`, and its `values` row
by row or, where it has more than the setting `log_tensor_values` allows, their `digest`. A tensor that was answered has
`answer_<name>` of the same form; a model that answers nothing but tensors has neither score nor prediction.

prediction_errors: `id`, `received_at`, `shipped_at`, `spool`, `position`, `version_id`, `role`, `status`, `reason`, `rows`,
`latency_us`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any

import polars as pl
import xxhash

from kept.serving.entries import Answered, ArmNote, Failed
from kept.serving.protocol.answers import best_class

_TIME = pl.Datetime("us", "UTC")
_TYPES: dict[str, Any] = {
    "number": pl.Float64,
    "integer": pl.Int64,
    "boolean": pl.Boolean,
    "category": pl.String,
    "text": pl.String,
}
_CASE = re.compile("(.*)__case[0-9a-f]{8}(.*)", re.DOTALL)
_TENSOR = pl.Struct({"shape": pl.List(pl.Int64), "values": pl.List(pl.Float64), "digest": pl.String})


def prediction_rows(
    batches: Sequence[tuple[int, ArmNote, Answered]], *, spool: str, shipped_at: datetime, existing: Mapping[str, Any]
) -> pl.DataFrame:
    """Rows of `predictions/<endpoint>`.

    Args:
        batches: position, arm and predictions, in order.
        spool: the process they are from.
        shipped_at: the present moment.
        existing: the table's columns and types so far.
    """
    groups: dict[ArmNote, list[tuple[int, Answered]]] = {}
    for position, note, batch in batches:
        groups.setdefault(note, []).append((position, batch))
    frames = [_of_arm(note, members, spool, shipped_at) for note, members in groups.items()]
    known = dict(existing)
    fitted = []
    for note, frame in zip(groups, frames, strict=True):
        fitted.append(_fit(frame, note, known))
        known.update(fitted[-1].schema)
    return pl.concat(fitted, how="diagonal")


def error_rows(failures: Sequence[tuple[int, Failed]], *, spool: str, shipped_at: datetime) -> pl.DataFrame:
    """Rows of `prediction_errors/<endpoint>`."""
    entries = [failure for _, failure in failures]
    return pl.DataFrame(
        [
            pl.Series("id", [entry.id for entry in entries], pl.String),
            _times("received_at", [entry.received_at for entry in entries]),
            pl.Series("shipped_at", [shipped_at] * len(entries), _TIME),
            pl.Series("spool", [spool] * len(entries), pl.String),
            pl.Series("position", [position for position, _ in failures], pl.Int64),
            pl.Series("version_id", [entry.version_id for entry in entries], pl.String),
            pl.Series("role", [entry.role for entry in entries], pl.String),
            pl.Series("status", [entry.status for entry in entries], pl.Int64),
            pl.Series("reason", [entry.reason for entry in entries], pl.String),
            pl.Series("rows", [entry.rows for entry in entries], pl.Int64),
            pl.Series("latency_us", [entry.latency_us for entry in entries], pl.Int64),
        ]
    )


def plain_names(columns: Iterable[str]) -> dict[str, str]:
    """The columns that are not called as their features are, because another one differed by case alone, and how those are.

    A feature may have such a name by itself, so that only what `_cased` gave is taken off, and no two are called the same.
    """
    known = set(columns)
    plain: dict[str, str] = {}
    for name in sorted(known):
        found = _CASE.fullmatch(name)
        if found is not None and name.startswith(_cased(found[1])) and found[1] + found[2] not in known:
            plain[name] = found[1] + found[2]
            known.add(plain[name])
    return plain


def _cased(name: str) -> str:
    """The column of a feature of this name where another one differs by case alone."""
    return f"{name}__case{xxhash.xxh32_hexdigest(name.encode())}"


def _of_arm(note: ArmNote, members: list[tuple[int, Answered]], spool: str, shipped_at: datetime) -> pl.DataFrame:
    def joined(name: str) -> list[Any]:
        return [value for _, batch in members for value in getattr(batch, name)]

    ids, scores = joined("ids"), joined("scores")
    rows = len(ids)
    answers = [answer for _, batch in members for answer in (batch.answers if batch.answers is not None else batch.ids)]
    columns = [
        pl.Series("id", ids, pl.String),
        pl.Series("answer_id", answers, pl.String),
        _times("event_time", joined("event_times")),
        _times("received_at", joined("received_at")),
        pl.Series("shipped_at", [shipped_at] * rows, _TIME),
        pl.Series("spool", [spool] * rows, pl.String),
        pl.Series("position", [position for position, batch in members for _ in batch.ids], pl.Int64),
        pl.Series("version_id", [note.version_id] * rows, pl.String),
        pl.Series("version", [note.number] * rows, pl.Int64),
        pl.Series("role", [note.role] * rows, pl.String),
        pl.Series("share", [note.share] * rows, pl.Float64),
        pl.Series("key", joined("keys"), pl.String),
        pl.Series("latency_us", joined("latencies_us"), pl.Int64),
        *_outputs(note, [score for score, _ in scores] if note.outputs else scores),
    ]
    for place, name in enumerate(note.outputs):
        columns.append(_tensors(f"answer_{name}", [tensors[place] for _, tensors in scores]))
    values = list(zip(*joined("features"), strict=True))
    for name, kind, column in zip(note.names, note.kinds, values, strict=True):
        if kind == "tensor":
            columns.append(pl.Series(f"feature_{name}__norm", [norm for _, norm, _, _ in column], pl.Float64))
            columns.append(_tensors(f"tensor_{name}", column))
            continue
        # JSON may have said 3.0 for a whole number.
        plain = [None if value is None else int(value) for value in column] if kind == "integer" else list(column)
        columns.append(pl.Series(f"feature_{name}", plain, _TYPES[kind]))
    return pl.DataFrame(columns)


def _outputs(note: ArmNote, scores: list[Any]) -> list[pl.Series]:
    empty: list[None] = [None] * len(scores)
    if note.task == "multiclass":
        chosen = [note.classes[best_class(row)] for row in scores]
        return [
            pl.Series("score", empty, pl.Float64),
            pl.Series("prediction", chosen, pl.String),
            pl.Series("scores", scores, pl.List(pl.Float64)),
        ]
    chosen_or_none = [note.classes[score > 0.5] for score in scores] if note.task == "binary" else empty
    return [
        pl.Series("score", scores, pl.Float64),
        pl.Series("prediction", chosen_or_none, pl.String),
        pl.Series("scores", empty, pl.List(pl.Float64)),
    ]


def _tensors(name: str, logged: Sequence[Any]) -> pl.Series:
    """Tensors as the log holds them (`kept.serving.logged_tensors`), without their norm."""
    told = [{"shape": shape, "values": values, "digest": digest} for shape, _, digest, values in logged]
    return pl.Series(name, told, _TENSOR)


def _times(name: str, microseconds: list[int]) -> pl.Series:
    return pl.Series(name, microseconds, pl.Int64).cast(_TIME)


def _fit(frame: pl.DataFrame, note: ArmNote, existing: Mapping[str, Any]) -> pl.DataFrame:
    """The frame with each feature in a column of the table that can hold it without loss."""
    spelled = {name.lower(): name for name in existing}
    own = dict.fromkeys(frame.columns)
    for name in own:
        spelled.setdefault(name.lower(), name)
    kinds = dict(zip(note.names, note.kinds, strict=True))
    fitted: dict[str, pl.Series] = {}
    for column in frame:
        # The norm of a tensor has no kind of its own.
        kind = kinds.get(column.name.removeprefix("feature_"), "number")
        for name in _names(column.name, kind, spelled):
            # A feature may be called as another one's column would be.
            if name != column.name and (name in fitted or name in own):
                continue
            series = _held(column, existing.get(name))
            if series is not None and spelled.setdefault(name.lower(), name) == name:
                fitted[name] = series.alias(name)
                break
    return pl.DataFrame(list(fitted.values()))


def _names(name: str, kind: str, spelled: Mapping[str, str]) -> Iterator[str]:
    """What a column may be called, best first, without an end."""
    name = name if spelled[name.lower()] == name else _cased(name)
    yield name
    yield f"{name}__{kind}"
    yield from (f"{name}__{kind}_{number}" for number in count(2))


def _held(column: pl.Series, dtype: Any) -> pl.Series | None:
    """The column as a column of this type holds it; None when it would lose something."""
    if dtype is None or dtype == column.dtype or not column.name.startswith("feature_"):
        return column
    cast = column.cast(dtype, strict=False) if dtype.is_numeric() and column.dtype.is_numeric() else None
    return cast if cast is not None and cast.cast(column.dtype, strict=False).equals(column) else None
