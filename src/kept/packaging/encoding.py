"""The encoder: which column of a table becomes which column of the model's matrix, and how."""

from typing import Literal

import msgspec

from kept.core.errors import Invalid
from kept.packaging.signature import Category


class Column(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One column of the matrix.

    Numbers stay as they are, booleans become 0 and 1, a category becomes its place in `categories`.
    What is missing, and a category that is not in the list, becomes NaN.
    """

    name: str
    kind: Literal["number", "integer", "boolean", "category"]
    categories: tuple[Category, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.categories)) != len(self.categories):
            raise Invalid("a category is there twice", where=f"column {self.name!r}", fix="Name each once")
        if self.categories and self.kind != "category":
            raise Invalid(f"a {self.kind} column has no categories", where=f"column {self.name!r}")

    @property
    def codes(self) -> dict[Category, float]:
        """The number that stands for each category."""
        return {category: float(code) for code, category in enumerate(self.categories)}


class TableEncoder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Columns of a table, in order, as a float64 matrix of shape (rows, columns).

    It is a value: its JSON form stands in the bundle, so that serving computes what training computed.
    """

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        names = self.names
        if not names or len(set(names)) != len(names):
            raise Invalid("the columns need names that differ", where="encoder", fix="Name each column once")

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def categorical(self) -> list[int]:
        """The matrix columns that hold category codes, for an estimator's `categorical_features`."""
        return [place for place, column in enumerate(self.columns) if column.kind == "category"]
