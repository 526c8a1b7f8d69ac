"""The signature: what a model takes and what it answers."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from kept.core.errors import Invalid

Kind = Literal["number", "integer", "boolean", "category", "text", "tensor"]
Task = Literal["binary", "multiclass", "regression", "tensors"]
Element = Literal[
    "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"
]  # fmt: skip
ScoreForm = Literal["probabilities", "logits", "value"]
Category = str | int
Label = str | bool | int | float

# Names that stand in answers beside the outputs of a model.
_OURS = frozenset({"prediction", "prediction_id"})
_SCORES = frozenset({"probability", "probabilities"})
_MOST_DIMENSIONS = 8


class Tensor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one row has in a field that is a tensor.

    Args:
        element: the type of its elements, as NumPy names it.
        shape: its shape without the dimension of the rows; -1 where a dimension may have any length. A single value has none.
    """

    element: Element
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.shape) > _MOST_DIMENSIONS or any(size < 1 and size != -1 for size in self.shape):
            fix = f"Give at most {_MOST_DIMENSIONS} lengths of 1 or more; -1 for any"
            raise Invalid(f"{list(self.shape)} is no shape of a tensor", where="signature", fix=fix)


class Output(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tensor that a model answers for each row."""

    name: str
    tensor: Tensor

    def __post_init__(self) -> None:
        _check_name(self.name)


class Scored(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which of its outputs a model's scores are read from, and how.

    `probabilities` are taken as they are; of `logits` the logistic function (one) or softmax (several) is taken; a `value`
    is a regression's.
    """

    output: str
    form: ScoreForm


_TRUTHS = {"true": "1", "false": "0", "1": "true", "0": "false"}


class Field(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One input column.

    Args:
        name: the column's name in rows and tables.
        kind: what its values are. `text` is reserved: no encoder reads it yet; a `tensor` has `tensor`.
        nullable: whether a value may be missing (null).
        minimum: the smallest value seen in training, for information; values beyond it are allowed.
        maximum: the largest value seen in training, likewise.
        categories: the categories seen in training; others are allowed, and encoded as missing.
        tensor: elements and shape of a tensor, which is never missing; None for all other kinds.
    """

    name: str
    kind: Kind
    nullable: bool = True
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[Category, ...] = ()
    tensor: Tensor | None = None

    def __post_init__(self) -> None:
        if (self.kind == "tensor") != (self.tensor is not None) or (self.tensor is not None and self.nullable):
            fix = 'Write kind="tensor", nullable=False and its tensor, or none of them'
            raise Invalid(f"the input {self.name!r} is half a tensor", where="signature", fix=fix)
        if self.tensor is not None:
            _check_name(self.name)


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model takes (columns, in order) and what it answers.

    A `binary` model answers the probability of `classes[1]`, a `multiclass` one a probability per class in
    the order of `classes`, a `regression` one a value. A model that takes tensors answers its `outputs` beside these, which
    are then read from one of them (`scored`), or nothing but them (`tensors`).
    """

    inputs: tuple[Field, ...]
    task: Task
    classes: tuple[Label, ...] = ()
    outputs: tuple[Output, ...] = ()
    scored: Scored | None = None

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
            "tensors": not self.classes,
        }
        if not expected[self.task]:
            raise Invalid(
                f"a {self.task} model does not have {len(self.classes)} classes",
                where="signature",
                fix="Name 2 classes for binary, 3 or more for multiclass, none for regression and tensors",
            )
        self._check_outputs()

    @property
    def names(self) -> tuple[str, ...]:
        """The input columns' names, in order."""
        return tuple(field.name for field in self.inputs)

    @property
    def takes_tensors(self) -> bool:
        """Whether its inputs are tensors; if so all of them are, single values too."""
        return self.inputs[0].tensor is not None

    def _check_outputs(self) -> None:
        if any((field.tensor is not None) != self.takes_tensors for field in self.inputs):
            fix = "Declare single values as tensors of no dimension"
            raise Invalid("some inputs are tensors and others are not", where="signature", fix=fix)
        names = [output.name for output in self.outputs]
        if self.takes_tensors != bool(names) or (self.task == "tensors" and not names):
            raise Invalid("a model that takes tensors answers tensors, and no other does", where="signature")
        if (self.scored is None) != (not names or self.task == "tensors"):
            fix = "Name the output that holds the scores (--scores); for the task tensors none"
            raise Invalid(f"the scores of a {self.task} model come from nowhere", where="signature", fix=fix)
        if self.scored is not None and self.scored.output not in names:
            fix = f"It answers {', '.join(names)}"
            raise Invalid(f"there is no output {self.scored.output!r}", where="signature", fix=fix)
        scores = _SCORES if self.scored is None else _SCORES - {self.scored.output}
        taken = [name for name in names if name in _OURS | scores or names.count(name) > 1]
        if taken:
            what = f"an output cannot be called {taken[0]!r}: something else bears that name"
            raise Invalid(what, where="signature", fix="Rename it in the graph")


def _check_name(name: str) -> None:
    """Refuses names that cannot stand in JSON as they are, or in the name of a table's column."""
    if not name or len(name) > 128 or any(character in '"\\' or ord(character) < 32 for character in name):
        fix = "Rename it in the graph, without quotes and backslashes"
        raise Invalid(f"{name!r} cannot be the name of a tensor", where="signature", fix=fix)


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
