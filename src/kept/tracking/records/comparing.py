"""Comparisons of the search language as conditions on columns."""

import math
import operator
from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, SQLColumnExpression, and_, not_, type_coerce

from kept.tracking.filtering import Term

_MICROSECONDS = 1_000
_LARGEST_TIME = 9 * 10**15
"""Milliseconds, whose microseconds a column can still hold."""
_ESCAPE = "|"
_COMPARISONS: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "LIKE": lambda column, pattern: column.like(*_plain(pattern)),
    "ILIKE": lambda column, pattern: column.ilike(*_plain(pattern)),
    "IN": lambda column, values: column.in_(values),
    "NOT IN": lambda column, values: column.not_in(values),
}


def timed(column: SQLColumnExpression[Any], term: Term) -> ColumnElement[bool]:
    """A time as clients count it, in whole milliseconds, compared with a number."""
    # The column holds microseconds; a moment belongs to the millisecond that it falls in.
    stored = type_coerce(column, BigInteger)
    wanted = max(-_LARGEST_TIME, min(number_of(term), _LARGEST_TIME))
    low, high = math.ceil(wanted) * _MICROSECONDS, (math.floor(wanted) + 1) * _MICROSECONDS
    within = and_(_raw(stored, ">=", low), _raw(stored, "<", high)) if low < high else None
    match term.comparator:
        case "=":
            return within if within is not None else and_(column.is_(None), column.is_not(None))
        case "!=":
            return not_(within) if within is not None else column.is_not(None)
        case ">":
            return _raw(stored, ">=", high)
        case ">=":
            return _raw(stored, ">=", low)
        case "<":
            return _raw(stored, "<", low)
    return _raw(stored, "<", high)


def _raw(column: SQLColumnExpression[Any], comparator: str, value: int) -> ColumnElement[bool]:
    return column.bool_op(comparator)(value)


def compared(column: SQLColumnExpression[Any], comparator: str, value: Any) -> ColumnElement[bool]:
    """A column compared with a value, or with a list of them."""
    return _COMPARISONS[comparator](column, value)


def _plain(pattern: str) -> tuple[str, str | None]:
    """A pattern, and the character that escapes in it: with one that is told, a backslash is none in any database."""
    return (pattern.replace(_ESCAPE, _ESCAPE * 2), _ESCAPE) if "\\" in pattern else (pattern, None)


def directed(column: SQLColumnExpression[Any], ascending: bool) -> ColumnElement[Any]:
    """A key to sort by, what has no value last."""
    return (column.asc() if ascending else column.desc()).nulls_last()


def number_of(term: Term) -> float:
    """The number that a term compares with."""
    return float(term.value)  # type: ignore[arg-type] # the grammar has seen that it is one
