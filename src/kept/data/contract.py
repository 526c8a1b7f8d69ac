"""The contract of a table: what its columns are, and what their values were when it was made."""

from typing import Literal

import msgspec

from kept.core.digests import digest_json

Kind = Literal["integer", "number", "boolean", "string", "timestamp", "date", "array", "object", "binary", "unknown"]
Value = str | bool | int | float


class ColumnContract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One column: first what later rows are held to, then what was observed.

    Args:
        name: the column.
        kind: what its values are. `unknown`: nothing but nulls was seen yet; the first values decide.
        required: whether a row without a value is set aside.
        minimum: rows with a smaller number are set aside; None for no limit.
        maximum: rows with a larger number are set aside.
        categories: the texts it takes, where they are few; others are noted as a finding, not set aside.
        null_rate: observed share of nulls; a clear rise is a finding.
        lowest: smallest number or earliest moment observed; numbers well beyond are a finding.
        highest: largest number or latest moment observed.
        distinct: about how many values were observed.
        identifier: whether each row had its own value.
        constant: whether there was one value only.
    """

    name: str
    kind: Kind
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] | None = None
    null_rate: float = 0.0
    lowest: Value | None = None
    highest: Value | None = None
    distinct: int = 0
    identifier: bool = False
    constant: bool = False


class TableContract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table's columns, and the rows that were observed to infer them."""

    name: str
    key: tuple[str, ...] = ()
    columns: tuple[ColumnContract, ...]
    rows: int = 0

    def column(self, name: str) -> ColumnContract | None:
        """The contract of a column."""
        return next((column for column in self.columns if column.name == name), None)

    def digest(self) -> str:
        """The digest that names this contract."""
        return digest_json(self)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something about the rows that a person should know, and that does not stop them."""

    kind: Literal["new_column", "new_categories", "range", "nulls", "not_a_number", "constant", "identifier"]
    column: str
    what: str
    rows: int = 0


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """How rows stood up to the contract."""

    rows: int
    bad: int
    reasons: dict[str, int] = {}
    """Reasons for which rows were set aside, with how many rows each."""
    findings: tuple[Finding, ...] = ()

    @property
    def bad_share(self) -> float:
        """Share of the rows that were set aside."""
        return self.bad / self.rows if self.rows else 0.0
