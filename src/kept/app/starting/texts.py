"""Text columns whose values may mean something else: numbers with units, spellings that differ by case."""

import polars as pl

from kept.app.starting.columns import Guess
from kept.data.reading import without_marks

_SIGN = r"%|[€$£¥]|[A-Za-zµ°]{1,3}"
_WITH_UNIT = rf"^(?:[€$£¥]\s*[-+]?\d[\d.,]*|[-+]?\d[\d.,]*\s*(?:{_SIGN}))$"
_MOST = 0.9
_UNITS = 2


def notes_on_text(column: pl.Series, guess: Guess) -> list[str]:
    """That the values of a column are numbers with a unit, or that some differ by case alone."""
    if guess.taken not in {"category", "text", "identifier"} or column.dtype != pl.String:
        return []
    values = without_marks(column.to_frame()).to_series().drop_nulls().unique().sort()
    notes = []
    with_unit = values.filter(values.str.contains(_WITH_UNIT))
    units = with_unit.str.extract(f"({_SIGN})").n_unique()
    if len(with_unit) > _MOST * len(values) and units <= _UNITS:
        notes.append(
            f"Values of {column.name} such as {with_unit[0]!r} look like numbers with a unit, and were taken for {guess.taken}: make "
            "numbers of them in project.py if they are amounts."
        )
    lower = values.str.to_lowercase()
    if guess.taken == "category" and (twice := lower.is_duplicated()).any():
        alike = " and ".join(repr(value) for value in values.filter(lower == lower.filter(twice)[0]))
        notes.append(
            f"Values of {column.name} differ by case alone ({alike}): make one of them in project.py if they mean the same."
        )
    return notes
