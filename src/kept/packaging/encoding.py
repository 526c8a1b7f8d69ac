"""The encoder: which column of a table becomes which column of the model's matrix, and how."""

import math
from typing import Literal

import msgspec

from kept.core.errors import Invalid
from kept.packaging.signature import Category


class Column(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One column of the matrix.

    Numbers stay as they are, booleans become 0 and 1, a category becomes its place in `categories`.
    What is missing becomes NaN. So does a category that is not in the list; where `unseen_apart`, it becomes infinity.
    """

    name: str
    kind: Literal["number", "integer", "boolean", "category"]
    categories: tuple[Category, ...] = ()
    unseen_apart: bool = False

    def __post_init__(self) -> None:
        if len(set(self.categories)) != len(self.categories):
            raise Invalid("a category is there twice", where=f"column {self.name!r}", fix="Name each once")
        if self.categories and self.kind != "category":
            raise Invalid(f"a {self.kind} column has no categories", where=f"column {self.name!r}")

    @property
    def unseen(self) -> float:
        """The number that stands for a category that is not in the list."""
        return math.inf if self.unseen_apart else math.nan

    @property
    def codes(self) -> "Codes":
        """The number that stands for each category, for None, and for all others."""
        return Codes(self)


class Codes(dict[Category | None, float]):
    """Category -> number; one that is not in the list has a number, too."""

    def __init__(self, column: Column) -> None:
        super().__init__({category: float(code) for code, category in enumerate(column.categories)})
        self[None] = math.nan
        self._unseen = column.unseen

    def __missing__(self, category: Category | None) -> float:
        return self._unseen


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
