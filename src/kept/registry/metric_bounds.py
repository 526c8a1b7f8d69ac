"""Parsing bounds on metrics as people write them: `roc_auc > 0.7 and log_loss < 0.5`."""

import operator
import re
from collections.abc import Callable, Mapping
from math import isfinite

import msgspec

from kept.core.errors import Invalid
from kept.measures.metrics import metric

_LONGEST = 8_000
_MOST_TERMS = 50
_TERM = re.compile(r"^\s*([a-z][a-z0-9_]*)\s*(>=|<=|>|<|=)\s*(\S+)\s*$")
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
}


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """One term: a metric on one side of a number."""

    metric: str
    sign: str
    number: float

    def holds(self, values: Mapping[str, float | None]) -> bool:
        """Whether the metric was measured and keeps the bound."""
        value = values.get(self.metric)
        return value is not None and _COMPARE[self.sign](value, self.number)


def parse_bounds(text: str) -> tuple[Bound, ...]:
    """Terms joined by `and`, each a metric of the catalogue, one of > >= < <= =, and a number; none for empty text."""
    if not text.strip():
        return ()
    terms = _AND.split(text) if len(text) <= _LONGEST else []
    if not 0 < len(terms) <= _MOST_TERMS:
        fix = f"Write at most {_MOST_TERMS} terms in {_LONGEST} characters"
        raise Invalid("the bounds are too long", where="search", fix=fix)
    return tuple(_bound(term) for term in terms)


def _bound(term: str) -> Bound:
    found = _TERM.match(term)
    try:
        number = float(found[3]) if found else float("nan")
    except ValueError:
        number = float("nan")
    if found is None or not isfinite(number):
        fix = "Write terms like: roc_auc > 0.7 and log_loss < 0.5"
        raise Invalid(f"{term.strip()[:80]!r} is not a bound on a metric", where="search", fix=fix)
    return Bound(metric=metric(found[1]).name, sign=found[2], number=number)
