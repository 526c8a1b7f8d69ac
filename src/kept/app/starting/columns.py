"""Inferring each column's role from its name and values, with the reason."""

import re
from collections.abc import Iterable
from typing import Any, Literal

import msgspec
import polars as pl

from kept.data.reading import MISSING, as_booleans, as_it_looks, as_numbers, as_times, without_marks

Taken = Literal[
    "target", "number", "category", "flag", "moment", "event time", "key", "identifier", "text", "constant", "empty",
    "copy of the target", "not a single value",
]  # fmt: skip

FEATURES: tuple[Taken, ...] = ("number", "category", "flag")
FORMS = ("", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%m/%d/%Y",
         "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y", "%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%d-%b-%Y", "%Y%m%d")  # fmt: skip
_MORE_MARKS = {"-", "--", ".", "*", "none", "unknown", "missing", "n.a.", "nil", "inf", "-inf", "#div/0!", "#value!"}
_ID_NAME = re.compile(
    r"(?i:(^|[_\s.-])(id|key|uuid|guid|index|idx|no|nr|rownames?)$|^unnamed|^rownumber$)|[a-z](ID|Id|Key)$"
)
_FEW_STRANGE = 0.02
_MOST_CATEGORIES = 255
_LONG_TEXT = 60
_FEW_VALUES = 4


class Guess(msgspec.Struct, frozen=True, kw_only=True):
    """What a column was taken for, and why."""

    name: str
    taken: Taken
    why: str
    distinct: int
    missing: int
    marks: tuple[str, ...] = ()
    """What stands for a missing value in it, beside blanks."""
    more_marks: tuple[str, ...] = ()
    """Those of them that must be said when the file is read."""
    form: str = ""
    """How its moments are written."""
    like: str = ""
    """Its first value."""

    @property
    def used(self) -> bool:
        """Whether the model learns from it."""
        return self.taken in FEATURES


def guess_column(column: pl.Series, *, decimal_comma: bool) -> Guess:
    """What a feature is: by its values, as far as they say it."""
    raw = without_marks(column.to_frame()).to_series()
    known = raw.drop_nulls()
    taken: Taken
    facts: dict[str, Any] = {
        "name": column.name,
        "missing": raw.null_count(),
        "marks": _marks(column),
        "like": str(known.first()),
    }
    if raw.dtype.is_nested() or isinstance(raw.dtype, pl.Binary | pl.Duration | pl.Time | pl.Object):
        return Guess(taken="not a single value", why=f"values are {raw.dtype}", distinct=0, **facts)
    distinct = facts["distinct"] = known.n_unique()
    if distinct < 2:
        taken, why = ("constant", f"always {known[0]}") if distinct else ("empty", "no value in any row")
    elif raw.dtype == pl.Boolean or (raw.dtype == pl.String and as_it_looks(known).dtype == pl.Boolean):
        taken, why = "flag", "true and false"
    elif raw.dtype.is_temporal():
        taken, why = "moment", "its type says so; make numbers of it to learn from it"
    else:
        numeric = raw.dtype.is_numeric()
        known = known.cast(pl.Float64 if numeric else pl.String)
        return _number(known, facts) if numeric else _text(known, facts, decimal_comma=decimal_comma)
    return Guess(taken=taken, why=why, **facts)


def time_form(known: pl.Series) -> str | None:
    """How the moments of a column are written; None when its values are not moments."""
    if known.dtype.is_temporal():
        return ""
    numbers = known.cast(pl.Float64, strict=False)
    if known.dtype.is_numeric() or not numbers.null_count():
        low, high = span_of(numbers)
        # Between 1980 and 2100.
        for unit, size in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
            if 3.2e8 * size < low and high < 4.1e9 * size:
                return unit
        known = known.cast(pl.Int64, strict=False).cast(pl.String) if known.dtype.is_numeric() else known
    sample = known.head(100)
    for form in FORMS:
        if not as_times(sample, form).null_count() and not as_times(known, form).null_count():
            return form
    return None


def copies(guesses: Iterable[Guess], frame: pl.DataFrame, target: pl.Series) -> list[Guess]:
    """The guesses, with the columns left out that say the class of every row in other words."""
    classes = target.n_unique()
    found = []
    for guess in guesses:
        if guess.used and guess.distinct == classes and not guess.missing:
            pairs = pl.DataFrame([frame.get_column(guess.name).alias("a"), target.alias("b")]).n_unique()
            if pairs == classes:
                why = "each of its values goes with one value of the target and no other"
                guess = msgspec.structs.replace(guess, taken="copy of the target", why=why)  # noqa: PLW2901
        found.append(guess)
    return found


def choose_key(guesses: list[Guess], rows: int) -> list[Guess]:
    """The guesses, with the first identifier that names every row made the key. What only counts rows is none."""
    for place, guess in enumerate(guesses):
        if guess.taken == "identifier" and guess.distinct == rows and not guess.why.startswith("counts"):
            why = f"{guess.why}: the key, not a feature"
            return [*guesses[:place], msgspec.structs.replace(guess, taken="key", why=why), *guesses[place + 1 :]]
    return guesses


def span_of(numbers: pl.Series) -> tuple[float, float]:
    """The smallest and the largest of some numbers."""
    values = numbers.cast(pl.Float64).to_numpy()
    return float(values.min()), float(values.max())


def _text(known: pl.Series, facts: dict[str, Any], *, decimal_comma: bool) -> Guess:
    coded = bool(known.str.contains(r"^0\d").any())
    numbers = None if coded else as_numbers(known, decimal_comma=decimal_comma)
    if numbers is not None and _is_strange_little(strange := known.filter(numbers.is_null()), known):
        more = tuple(sorted(strange.unique()))
        facts |= {"missing": facts["missing"] + len(strange), "marks": (*facts["marks"], *more), "more_marks": more}
        return _number(numbers.drop_nulls(), facts)
    form = time_form(known)
    distinct = known.n_unique()
    words = 2 * int(known.str.contains(r"\s").sum()) > len(known)
    long = int(known.str.len_chars().sum()) > _LONG_TEXT * len(known)
    taken: Taken
    if form is not None:
        taken, why = "moment", "all its values are moments; make numbers of it to learn from it"
    elif distinct == len(known) and not words:
        taken, why = "identifier", "no two rows share a value"
    elif long or 2 * distinct > len(known):
        taken, why = "text", "long texts" if long else f"{distinct} different values in {len(known)} rows"
    else:
        taken, why = "category", _values(known, distinct)
        why += ", digits behind a zero are a code" if coded else ""
        why += f"; the {_MOST_CATEGORIES} most frequent count" if distinct > _MOST_CATEGORIES else ""
    return Guess(taken=taken, why=why, form=form or "", **facts)


def _is_strange_little(strange: pl.Series, known: pl.Series) -> bool:
    """Whether the values that are no numbers are none at all, or some that say that a number is missing."""
    few = len(strange) <= _FEW_STRANGE * len(known) and strange.n_unique() <= _FEW_VALUES
    return len(strange) < len(known) and (few or set(strange.str.to_lowercase()) <= _MORE_MARKS)


def _number(numbers: pl.Series, facts: dict[str, Any]) -> Guess:
    whole = bool((numbers % 1 == 0).all())
    distinct = numbers.n_unique()
    facts["distinct"] = distinct
    if distinct == 1:
        return Guess(taken="constant", why=f"always {numbers[0]:g}", **facts)
    if whole and distinct == len(numbers):
        if bool((numbers.diff().drop_nulls() == 1).all()):
            return Guess(taken="identifier", why="counts the rows", **facts)
        if _ID_NAME.search(str(facts["name"])):
            return Guess(taken="identifier", why="no two rows share a value", **facts)
    low, high = span_of(numbers)
    return Guess(taken="number", why=f"{'whole numbers' if whole else 'numbers'} from {low:g} to {high:g}", **facts)


def _values(known: pl.Series, distinct: int) -> str:
    """How many values there are, and which, where they are few and short."""
    values = [str(value) for value in known.unique().sort().head(_FEW_VALUES + 1)]
    if len(values) <= _FEW_VALUES and sum(map(len, values)) < _LONG_TEXT:
        return f"{distinct} different values: {', '.join(values)}"
    return f"{distinct} different values"


def _marks(column: pl.Series) -> tuple[str, ...]:
    if column.dtype != pl.String:
        return ()
    return tuple(sorted(set(column.unique().drop_nulls().str.strip_chars()) & set(MISSING)))


def as_feature(column: pl.Series, guess: Guess, *, decimal_comma: bool) -> pl.Series:
    """The column's values in the type that it was taken for."""
    plain = without_marks(column.to_frame(), guess.more_marks).to_series()
    if guess.taken == "number":
        return as_numbers(plain, decimal_comma=decimal_comma)
    if guess.taken == "flag":
        return as_booleans(plain)
    return plain.cast(pl.String)
