"""A label: what was true of something that was predicted, and from when that was known."""

import math
from datetime import datetime

import msgspec

from kept.core.clock import as_utc
from kept.core.errors import Invalid

_EMPTY = {"", "nan"}


class LabelEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A label as it is sent: of one prediction by its id, or of all predictions of a key."""

    value: str | bool | int | float | None
    prediction_id: str | None = None
    key: str | int | None = None
    known_at: datetime | None = None
    """Event time from which it is known; when it was received, if not given."""


class LabelRow(msgspec.Struct, frozen=True):
    """A label as it is kept."""

    sequence: int
    """Order of receipt: of the labels of one target the one with the largest sequence is in force. 0 until it is recorded."""
    endpoint: str
    prediction_id: str | None
    key: str | None
    value: str
    """The label's text: `true` and `false`, whole numbers without a point, other numbers so that they read back the same."""
    known_at: datetime
    received_at: datetime
    source: str
    actor: str


class LabelFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of labels, and how many of its rows are recorded."""

    endpoint: str
    digest: str
    name: str
    rows: int
    updated_at: datetime


def label_text(value: str | bool | float | None, *, where: str) -> str:
    """A label's text; `Invalid` for what is no label."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = value.strip()
        if text.lower() not in _EMPTY:
            return text
    elif value is not None and math.isfinite(value):
        return str(int(value)) if value == int(value) else repr(value)
    fix = "Leave the entry out until the label is known"
    raise Invalid(f"{value!r} is not a label", where=where, fix=fix)


def make_row(
    entry: LabelEntry, *, endpoint: str, received_at: datetime, source: str, actor: str, where: str
) -> LabelRow:
    """The label as it is kept; `Invalid` names what is wrong with it."""
    key = None if entry.key is None else str(entry.key)
    if (entry.prediction_id is None) == (key is None):
        found = "neither" if key is None else "both"
        fix = "Name what it is a label of by one of the two"
        raise Invalid(
            f"it has {found} prediction_id and key" if found == "both" else "it has neither prediction_id nor key",
            where=where,
            fix=fix,
        )
    if not (entry.prediction_id or key):
        raise Invalid("its prediction_id or key is empty", where=where, fix="Name what it is a label of")
    return LabelRow(
        sequence=0,
        endpoint=endpoint,
        prediction_id=entry.prediction_id,
        key=key,
        value=label_text(entry.value, where=where),
        known_at=received_at if entry.known_at is None else as_utc(entry.known_at, where=f"{where}, known_at"),
        received_at=received_at,
        source=source,
        actor=actor,
    )
