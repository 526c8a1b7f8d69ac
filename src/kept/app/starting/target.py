"""Inferring the task from the target's values; refusing a target that nothing can be learnt from."""

from collections.abc import Sequence
from typing import Any

import msgspec
import polars as pl

from kept.app.starting.columns import guess_column
from kept.core.errors import Invalid
from kept.data.reading import as_it_looks, as_numbers, in_utc, without_marks
from kept.packaging.signature import Label
from kept.plan.specs import Task

MOST_CLASSES = 100
_MOST_WHOLE_CLASSES = 20
_SHOWN = 5
FEWEST_OF_A_CLASS = 10
"""Rows of a class below which training, validation and test cannot all hold some."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be predicted."""

    name: str
    task: Task
    why: str
    classes: dict[str, int]
    """Rows of each class, in the order of the classes; empty for regression."""
    missing: int
    """Rows that do not say it: nothing is learnt from them."""
    rare: tuple[Label, ...] = ()
    """Classes with too few rows to learn from and be judged on; they are left out."""
    dotted: bool = False
    """Whether its texts end in a dot that is taken off."""
    marks: tuple[str, ...] = ()
    """Texts in it that stand for a missing value and must be said when the file is read."""


def guess_target(column: pl.Series, task: Task | None, *, where: str, decimal_comma: bool) -> tuple[Target, pl.Series]:
    """What is to be predicted, and each row's label (a class, or a number; null where it is not known).

    Raises:
        Invalid: there are no labels, or all are the same, or too many classes, or too few rows of them.
    """
    guess = guess_column(column, decimal_comma=decimal_comma)
    plain = without_marks(column.to_frame(), guess.more_marks).to_series()
    if guess.taken == "empty":
        raise Invalid("no row has a value", where=where, fix="Name another column with --target")
    if guess.taken in {"not a single value", "moment"}:
        raise Invalid("its values are neither numbers nor classes", where=where, fix="Name another column")
    dotted = plain.dtype == pl.String and bool(plain.str.contains(r"[^\d]\.$").all())
    labels = plain.str.strip_chars_end(".") if dotted else plain
    labels = as_it_looks(labels) if labels.dtype == pl.String else in_utc(labels)
    distinct = labels.drop_nulls().n_unique()
    if distinct == 1:
        what = f"every row has the same value, {labels.drop_nulls()[0]!r}"
        raise Invalid(what, where=where, fix="Give rows of at least two classes")
    numbers = as_numbers(labels, decimal_comma=decimal_comma)
    numeric = labels.dtype != pl.Boolean and numbers.null_count() == labels.null_count()
    found, why = _task(numbers if numeric else None, distinct)
    chosen, why = (task, "as you said") if task is not None else (found, why)
    common: dict[str, Any] = {
        "name": column.name,
        "task": chosen,
        "why": why,
        "dotted": dotted,
        "marks": guess.more_marks,
    }
    if chosen == "regression":
        if not numeric:
            raise Invalid("its values are not numbers", where=where, fix="Leave --task out, or name another column")
        return Target(classes={}, missing=numbers.null_count(), **common), numbers.rename(column.name)
    if numeric and labels.dtype.is_float():
        labels = numbers.cast(pl.Int64) if bool((numbers.drop_nulls() % 1 == 0).all()) else labels
    counts = _counts(labels)
    rare = tuple(value for value, count in counts if count < FEWEST_OF_A_CLASS)
    _check_classes(counts, rare, chosen, where)
    labels = labels.set(labels.is_in(pl.Series(rare, dtype=labels.dtype).implode()), None) if rare else labels
    classes = {str(value): count for value, count in counts if value not in rare}
    if task is None:
        common["task"] = "binary" if len(classes) == 2 else "multiclass"
    return Target(classes=classes, missing=plain.null_count(), rare=rare, **common), labels


def _task(numbers: pl.Series | None, distinct: int) -> tuple[Task, str]:
    if distinct == 2:
        return "binary", "two different values"
    if numbers is None:
        return "multiclass", f"{distinct} different values, not numbers"
    if not bool((numbers.drop_nulls() % 1 == 0).all()):
        return "regression", "numbers with fractions"
    if distinct > _MOST_WHOLE_CLASSES or distinct > numbers.count() / 10:
        return "regression", f"{distinct} different whole numbers"
    return "multiclass", f"only {distinct} different whole numbers (--task regression takes them as amounts)"


def _counts(labels: pl.Series) -> Sequence[tuple[Label, int]]:
    counted = labels.drop_nulls().rename("label").value_counts(name="rows").sort("label")
    return list(counted.iter_rows())


def _check_classes(counts: Sequence[tuple[Label, int]], rare: Sequence[Label], task: Task, where: str) -> None:
    left = len(counts) - len(rare)
    if len(counts) > MOST_CLASSES:
        fix = "Name a column with fewer values, or join some of them into one class"
        what = f"{len(counts)} different values are too many for classes (at most {MOST_CLASSES})"
        raise Invalid(what, where=where, fix=fix)
    if left < 2:
        few = ", ".join(f"{value!r} ({count} rows)" for value, count in counts if value in rare)
        few = few if len(rare) <= _SHOWN else f"each of its {len(counts)} values"
        fix = f"Give {FEWEST_OF_A_CLASS} rows or more of two classes at least"
        raise Invalid(f"too few rows of {few}", where=where, fix=fix)
    if task == "binary" and left != 2:
        raise Invalid(f"{left} classes are not for binary", where=where, fix="Say --task multiclass")
    if task == "multiclass" and left == 2 and len(counts) == 2:
        raise Invalid("two classes are not for multiclass", where=where, fix="Say --task binary")
