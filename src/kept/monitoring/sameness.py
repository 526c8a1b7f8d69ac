"""Rules against constant columns and repeated requests.

What is alike by its nature (the month in a window of a day, the sunshine of a night, rows of few categories) was so in the
week before, too: a rule breaks only against what was usual in it.
"""

import math
from collections.abc import Iterable
from datetime import timedelta

import msgspec
import polars as pl

from kept.monitoring.quality import Breach, Expected

# Fewer rows say nothing of a window.
_FEWEST = 30
_WEEK, _DAY = timedelta(days=7), timedelta(days=1)
# What is usual is known from a week, and from so many windows or days at least.
_USUAL_FROM, _REMEMBERED = 5, 7
# A column stands still for a reason when so many rows would hold one value by chance in fewer cases than this.
_BY_CHANCE = 1e-6
# Repeated rows are too many when as large a part of those that used to be single is repeated.
_PART = 0.3
_MOST_ROWS = 100_000


class Sameness(msgspec.Struct, frozen=True, kw_only=True):
    """What was usual in the last week of windows with enough rows."""

    varied: dict[str, int] = {}
    """For how many windows in a row each column has varied."""
    repeated: tuple[float, ...] = ()
    """The largest share of rows that repeated an earlier one, of each of the last days (or windows, where they are longer)."""
    today: tuple[int, float] = (0, 0.0)
    """The same of the day that is not over: its windows so far, and their largest share."""


def check_sameness(
    rows: pl.DataFrame, features: pl.DataFrame, expected: Iterable[Expected], before: Sameness, length: timedelta
) -> tuple[list[Breach], Sameness]:
    """The rules that a window breaks, and what is usual after it.

    Args:
        rows: the window's predictions.
        features: their features, by their own names.
        expected: what the reference knows of the columns that may be looked at.
        before: what was usual.
        length: the windows' length.
    """
    if rows.height < _FEWEST:
        return [], before
    found: list[Breach] = []
    long = max(_USUAL_FROM, math.ceil(_WEEK / length))
    varied: dict[str, int] = {}
    for one in expected:
        known = before.varied.get(one.column, 0)
        if one.column not in features.columns:
            continue
        values = features[one.column].drop_nulls()
        if values.len() < _FEWEST:
            varied[one.column] = known
            continue
        stands_still = values.n_unique() == 1
        varied[one.column] = 0 if stands_still else min(known + 1, long)
        if stands_still and known >= long and one.largest_share ** values.len() < _BY_CHANCE:
            evidence = {"value": str(values[0]), "rows": values.len()}
            message = f"{one.column} has stopped to vary"
            found.append(Breach(rule="constant", column=one.column, message=message, evidence=evidence))
            # It may vary again at once; until then it is the same condition.
            varied[one.column] = known
    share = _repeated(rows.head(_MOST_ROWS), features.head(_MOST_ROWS))
    usual = max((*before.repeated, before.today[1]))
    if len(before.repeated) >= _USUAL_FROM and share >= usual + _PART * (1 - usual) > usual:
        evidence = {"repeated_share": share, "usual_share": usual, "rows": rows.height}
        message = "far more requests than usual repeat an earlier one"
        found.append(Breach(rule="repeated", message=message, evidence=evidence))
        return found, msgspec.structs.replace(before, varied=varied)
    windows, largest = before.today[0] + 1, max(before.today[1], share)
    if windows * length < _DAY:
        return found, msgspec.structs.replace(before, varied=varied, today=(windows, largest))
    return found, Sameness(varied=varied, repeated=(*before.repeated, largest)[-_REMEMBERED:])


def _repeated(rows: pl.DataFrame, features: pl.DataFrame) -> float:
    """The share of rows whose key and features an earlier row had."""
    sent = features.drop("score", strict=False)
    if "key" in rows.columns:
        sent = sent.with_columns(rows["key"].alias("\0key"))
    return 1 - sent.hash_rows().n_unique() / rows.height if sent.width else 0.0
