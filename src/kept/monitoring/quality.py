"""Data quality rules of traffic: empty or thin windows, another schema, missing, unknown and wild values, failures."""

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate
from statistics import median
from typing import Any, Literal

import msgspec
import numpy as np
import polars as pl

from kept.measures.drift.categories import category_name
from kept.measures.special import betainc

Rule = Literal["volume", "schema", "missing", "unseen", "range", "errors", "answers", "constant", "repeated"]

# A window is thin below this share of the usual number of rows, known from so many windows.
THIN = 0.2
_USUAL_FROM = 5
# By how much the missing share may rise, and which share of rows may hold unseen categories or wild values.
MISSING_RISE = 0.1
STRANGE_SHARE = 0.01
# Which share of requests may be refused: some caller is always wrong, and it is not the model's fault.
REFUSED_SHARE = 0.05
_FEWEST_STRANGE = 5
# What chance brings in more than one of a million windows breaks no rule of a column: of few rows many are missing at times,
# and where most values are rare, new ones come every day.
_CHANCE = 1e-6
# The same of the number of rows, of which there is one in a window. Of more than so many it is never a thin window.
_QUIET_CHANCE = 1e-4
_NEVER_QUIET = 100
# A value is wild when it lies beyond the reference's range by more than this many times its width.
WILD = 1.0
_SHOWN = 10


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What the reference knows of a column."""

    column: str
    missing_share: float
    low: float | None = None
    high: float | None = None
    largest_share: float = 1.0
    """The share of rows in the cell of the grid that holds most; 1 where it is not known."""
    categories: frozenset[str] | None = None
    """Every value that was seen; None for numbers, and where there were too many to remember."""
    unseen_share: float = 0.0
    """The share of rows whose value was not, which are to be expected: that of the values that were seen once (Good 1953)."""
    beyond_share: float = 0.0
    """The share of rows beyond the range, which are to be expected: a row more may be the next record, on either side."""


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that a window breaks."""

    rule: Rule
    column: str = ""
    message: str
    """A sentence without its numbers, the same as long as the condition lasts."""
    evidence: dict[str, Any]

    @property
    def metric(self) -> str:
        """The name its number is stored under."""
        return f"{self.rule}_share" if self.column else self.rule


def check_volume(
    rows: int, earlier: Sequence[int], same_weekday: Sequence[int] = (), *, day_of_rest: bool = False
) -> Breach | None:
    """Whether a window is empty, or thin, against earlier windows of its time of day.

    What is no less than usual at this time of the week (`same_weekday`) is neither: few ask for anything on a Sunday. On a
    day on which some rest (`day_of_rest`), that is not known before the first such window has been seen, and nothing is told; on
    others it is taken to be as usual. Nor is what chance brings in more than one of 10,000 windows: where five requests come an
    hour, some hours have none.
    """
    usual = median(earlier) if earlier else 0
    if _quiet_by_chance(rows, usual):
        return None
    if day_of_rest and not same_weekday:
        return None
    if same_weekday and rows >= THIN * median(same_weekday):
        return None
    if not rows and usual:
        return Breach(rule="volume", message="there are no predictions", evidence={"rows": 0, "usual_rows": usual})
    if len(earlier) < _USUAL_FROM or rows >= THIN * usual:
        return None
    evidence = {"rows": rows, "usual_rows": usual}
    return Breach(rule="volume", message="there are far fewer predictions than usual", evidence=evidence)


def _quiet_by_chance(rows: int, usual: float) -> bool:
    """Whether so few requests are still to be thought of where so many independent ones are usual (Poisson)."""
    if rows >= usual or usual > _NEVER_QUIET:
        return False
    terms = accumulate(range(1, rows + 1), lambda term, count: term * usual / count, initial=math.exp(-usual))
    return sum(terms) > _QUIET_CHANCE


def check_errors(rows: int, errors: int, limit: float) -> Breach | None:
    """Whether more requests failed than may."""
    share = errors / (rows + errors) if errors else 0.0
    if errors < _FEWEST_STRANGE or share <= limit:
        return None
    evidence = {"errors": errors, "requests": rows + errors, "error_rate": share, "limit": limit}
    return Breach(rule="errors", message="more requests fail than may", evidence=evidence)


def check_schema(rows: int, refused: int) -> Breach | None:
    """Whether too many requests were refused since they do not fit the model's signature: what is sent has changed."""
    requests = rows + refused
    if refused < _FEWEST_STRANGE or refused < REFUSED_SHARE * requests:
        return None
    evidence = {"refused": refused, "requests": requests, "share": refused / requests}
    return Breach(rule="schema", message="requests do not fit the schema, and are refused", evidence=evidence)


def check_answers(rows: int, unusable: int) -> Breach | None:
    """Whether answers of the model are missing, no numbers, or no probabilities: no label will ever judge these."""
    if not _many(unusable, rows):
        return None
    evidence = {"unusable": unusable, "rows": rows, "share": unusable / rows}
    return Breach(rule="answers", message="answers are missing, or no numbers that the task allows", evidence=evidence)


def check_columns(frame: pl.DataFrame, expected: Iterable[Expected]) -> list[Breach]:
    """The rules that columns of a window break. A column that is not there counts as missing throughout."""
    found: list[Breach] = []
    for one in expected:
        if frame.height < _FEWEST_STRANGE:
            continue
        values = frame[one.column] if one.column in frame.columns else pl.Series(one.column, [None] * frame.height)
        if values.dtype.is_float():
            values = values.fill_nan(None)
        found += [
            breach for breach in (_missing(values, one), _unseen(values, one), _wild(values, one)) if breach is not None
        ]
    return found


def _missing(values: pl.Series, expected: Expected) -> Breach | None:
    share = values.null_count() / values.len()
    if share <= expected.missing_share + MISSING_RISE:
        return None
    if _by_chance(values.null_count(), values.len(), expected.missing_share):
        return None
    evidence = {"missing_share": share, "missing_share_of_reference": expected.missing_share}
    message = f"{expected.column} is missing far more often"
    return Breach(rule="missing", column=expected.column, message=message, evidence=evidence)


def _unseen(values: pl.Series, expected: Expected) -> Breach | None:
    if expected.categories is None:
        return None
    counts = values.drop_nulls().value_counts()
    strange = {
        name: rows
        for value, rows in counts.iter_rows()
        if (name := category_name(value)) is not None and name not in expected.categories
    }
    rows = sum(strange.values())
    if not _many(rows, values.len(), expected.unseen_share) or _by_chance(rows, values.len(), expected.unseen_share):
        return None
    most = sorted(strange, key=lambda name: (-strange[name], name))[:_SHOWN]
    evidence = {"values": {name: strange[name] for name in most}, "rows": rows, "share": rows / values.len()}
    message = f"{expected.column} has values that were never seen"
    return Breach(rule="unseen", column=expected.column, message=message, evidence=evidence)


def _wild(values: pl.Series, expected: Expected) -> Breach | None:
    if expected.low is None or expected.high is None or not values.dtype.is_numeric():
        return None
    room = WILD * (expected.high - expected.low)
    numbers = values.drop_nulls().to_numpy().astype(np.float64)
    beyond = (numbers < expected.low - room) | (numbers > expected.high + room)
    rows = int(beyond.sum())
    if not room or not _many(rows, values.len()) or _by_chance(rows, values.len(), expected.beyond_share):
        return None
    evidence = {
        "rows": rows,
        "share": rows / values.len(),
        "seen": [float(numbers.min()), float(numbers.max())],
        "range_of_reference": [expected.low, expected.high],
    }
    message = f"{expected.column} has values far outside the range that was seen"
    return Breach(rule="range", column=expected.column, message=message, evidence=evidence)


def _many(rows: int, of: int, expected: float = 0.0) -> bool:
    return rows >= _FEWEST_STRANGE and rows >= (expected + STRANGE_SHARE) * of


def _by_chance(rows: int, of: int, share: float) -> bool:
    """Whether so many of independent rows are still to be thought of, where such a share of them is expected."""
    return share > 0 and float(betainc(rows, of - rows + 1, min(share, 1.0))) > _CHANCE
