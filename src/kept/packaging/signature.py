"""The signature: what a model takes and what it answers."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from kept.core.errors import Invalid

Kind = Literal["number", "integer", "boolean", "category", "text"]
Task = Literal["binary", "multiclass", "regression"]
Category = str | int
Label = str | bool | int | float


_TRUTHS = {"true": "1", "false": "0", "1": "true", "0": "false"}


class Field(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One input column.

    Args:
        name: the column's name in rows and tables.
        kind: what its values are. `text` is reserved: no encoder reads it yet.
        nullable: whether a value may be missing (null).
        minimum: the smallest value seen in training, for information; values beyond it are allowed.
        maximum: the largest value seen in training, likewise.
        categories: the categories seen in training; others are allowed, and encoded as missing.
    """

    name: str
    kind: Kind
    nullable: bool = True
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[Category, ...] = ()


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model takes (columns, in order) and what it answers.

    A `binary` model answers the probability of `classes[1]`, a `multiclass` one a probability per class in
    the order of `classes`, a `regression` one a value.
    """

    inputs: tuple[Field, ...]
    task: Task
    classes: tuple[Label, ...] = ()

    def __post_init__(self) -> None:
        if not self.inputs:
            raise Invalid("a model needs at least one input", where="signature")
        names = [field.name for field in self.inputs]
        if len(set(names)) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise Invalid(f"the input {twice[0]!r} is there twice", where="signature", fix="Give each its own name")
        expected = {
            "binary": len(self.classes) == 2,
            "multiclass": len(self.classes) > 2,
            "regression": not self.classes,
        }
        if not expected[self.task]:
            raise Invalid(
                f"a {self.task} model does not have {len(self.classes)} classes",
                where="signature",
                fix="Name 2 classes for binary, 3 or more for multiclass, none for regression",
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The input columns' names, in order."""
        return tuple(field.name for field in self.inputs)


def class_places(classes: Sequence[Label]) -> dict[str, int]:
    """The place of each class by every text that stands for it, as `plain_label` gives it.

    Labels come from outside in the sender's types: `1`, `1.0`, `"1"` and `true` are one class, if there is one that is known
    by one of these.
    """
    places = {plain_label(label): place for place, label in enumerate(classes)}
    for text in [text for text in places if text in _TRUTHS]:
        places.setdefault(_TRUTHS[text], places[text])
    return places


def plain_label(label: Any) -> str:
    """A label as a text, the same for those that mean the same."""
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    text = str(label)
    return text.lower() if text in {"True", "False"} else text
