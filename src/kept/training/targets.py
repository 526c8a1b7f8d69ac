"""Encoding labels as numbers to learn from, and their classes."""

from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kept.core.errors import Invalid
from kept.packaging.signature import Label
from kept.plan.specs import Task

_MOST_CLASSES = 1000


def classes_of(labels: pl.Series, task: Task) -> tuple[Label, ...]:
    """The classes of labels without nulls, in order; of two, the second is the positive one.

    Raises:
        Invalid: the labels do not fit the task.
    """
    if task == "regression":
        if not labels.dtype.is_numeric():
            fix = 'Give numbers, or declare task="binary" or "multiclass"'
            raise Invalid(f"the label is {labels.dtype}, not a number", where=f"label {labels.name!r}", fix=fix)
        return ()
    classes = _whole(labels).unique().drop_nulls().sort().to_list()
    if task == "binary" and len(classes) != 2:
        fix = 'Declare task="multiclass"' if len(classes) > 2 else "Give rows of both classes"
        raise Invalid(f"a binary model needs 2 classes, found {len(classes)}", where=f"label {labels.name!r}", fix=fix)
    if task == "multiclass" and not 2 < len(classes) <= _MOST_CLASSES:
        fix = 'Declare task="binary"' if len(classes) == 2 else 'Declare task="regression", or give fewer classes'
        raise Invalid(f"{len(classes)} classes are not for multiclass", where=f"label {labels.name!r}", fix=fix)
    return tuple(classes)


def learn_from(labels: pl.Series, task: Task) -> NDArray[Any]:
    """Labels as an estimator takes them: their own values, so that it knows the classes by their names."""
    if task == "regression":
        return labels.cast(pl.Float64).to_numpy()
    plain = _whole(labels)
    # An array of texts with a fixed width is what scikit-learn sorts and compares as classes.
    return np.asarray(plain.to_list()) if plain.dtype == pl.String else plain.to_numpy()


def encode_labels(labels: pl.Series, classes: tuple[Label, ...]) -> NDArray[np.float64] | NDArray[np.int64]:
    """Each label's place in the classes (int64), or its number (float64) where there are no classes.

    Raises:
        Invalid: a label is none of the classes.
    """
    if not classes:
        return labels.cast(pl.Float64).to_numpy()
    plain = _whole(labels)
    places = plain.replace_strict(list(classes), list(range(len(classes))), default=None, return_dtype=pl.Int64)
    if places.null_count():
        strange = plain.filter(places.is_null()).unique().to_list()
        fix = "Train again with rows of that class"
        raise Invalid(f"{strange[0]!r} is none of the classes {list(classes)}", where=f"label {labels.name!r}", fix=fix)
    return cast("NDArray[np.int64]", places.to_numpy())


def need_classes(labels: pl.Series, classes: tuple[Label, ...]) -> None:
    """`Invalid` when a class does not occur, so that nothing could be learnt of it."""
    missing = np.setdiff1d(np.arange(len(classes)), encode_labels(labels, classes))
    if missing.size:
        fix = "Give more rows of it, learn from a longer window, or write project.split(kept.stratified())"
        what = f"the class {classes[missing[0]]!r} does not occur among the rows to learn from"
        raise Invalid(what, where=f"label {labels.name!r}", fix=fix)


def has_all(labels: pl.Series, classes: tuple[Label, ...]) -> bool:
    """Whether every class occurs; so it is where there are none."""
    return np.unique(encode_labels(labels, classes)).size >= len(classes)


def rows_with_all_classes(labels: pl.Series, classes: tuple[Label, ...]) -> int:
    """How many of the last rows hold every class that occurs at least once; 1 where there are no classes."""
    if not classes:
        return 1
    _, place_from_the_end = np.unique(encode_labels(labels, classes)[::-1], return_index=True)
    return int(place_from_the_end.max()) + 1


def _whole(labels: pl.Series) -> pl.Series:
    """Whole numbers that came as floats (a column with nulls does) are whole numbers again."""
    if labels.dtype.is_float() and (labels.drop_nulls() % 1 == 0).all():
        return labels.cast(pl.Int64)
    return labels
