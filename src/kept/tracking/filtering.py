"""The syntax tree of the search language, which knows nothing of SQL."""

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What a term looks at."""

    METRIC = "metric"
    PARAM = "parameter"
    TAG = "tag"
    ATTRIBUTE = "attribute"
    DATASET = "dataset"


class Term(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One comparison. A filter is a list of terms that must all hold."""

    kind: Kind
    name: str
    comparator: str
    """=, !=, <, <=, >, >=, LIKE, ILIKE, IN, NOT IN, IS NULL or IS NOT NULL."""
    value: int | float | str | list[str] | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key to sort by; what has no value comes last, whichever the direction."""

    kind: Kind
    name: str
    ascending: bool = True
    dataset_name: str | None = None
    """Only points measured on this dataset count; for metrics of logged models."""
    dataset_digest: str | None = None
