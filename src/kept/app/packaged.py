"""`kept.package`: a bundle of an estimator where it was fitted, in a notebook or a script."""

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import skops.io

from kept.app.model_files import bundle_of_skops
from kept.core.errors import Invalid
from kept.packaging.manifest import MANIFEST


def package(estimator: Any, rows: Any, folder: str | Path, *, replace: bool = False) -> Path:
    """Makes a bundle of a fitted scikit-learn estimator: exported exactly where that can be, checked against the
    original on the rows, measured, and ready for `kept serve-model`.

    Args:
        estimator: the fitted estimator. It is saved with skops, so that nothing in the bundle runs when it is loaded.
        rows: some rows that it takes: a data frame of polars or pandas, or an array, whose columns are named x0, x1, ...
        folder: where the bundle is written.
        replace: whether a bundle that is there may go, as when a cell is run again; it stays where the new one fails.

    Returns:
        The folder.

    Raises:
        Invalid: what cannot be saved, checked or told apart, with what to do.
        Conflict: the folder holds something.
    """
    target = Path(folder)
    frame = _frame(rows)
    with tempfile.TemporaryDirectory(prefix="kept-") as made:
        path = Path(made) / "model.skops"
        try:
            skops.io.dump(estimator, path)
        except Exception as error:
            fix = "Give a fitted estimator of scikit-learn"
            raise Invalid(f"it cannot be saved with skops: {error}", where=type(estimator).__name__, fix=fix) from error
        if not (replace and (target / MANIFEST).is_file()):
            bundle_of_skops(path, frame, target)
        else:
            _replace(target.resolve(), partial(bundle_of_skops, path, frame))
    return target


def _replace(target: Path, make: Callable[[Path], Path]) -> None:
    """Makes a bundle beside the one that is there, and then lets them change places: until then nothing is moved."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-", ignore_cleanup_errors=True) as beside:
        made, before = make(Path(beside) / "bundle"), Path(beside) / "before"
        target.rename(before)
        try:
            made.rename(target)
        except OSError:
            before.rename(target)
            raise


def _frame(rows: Any) -> pl.DataFrame:
    if isinstance(rows, pl.DataFrame):
        return rows
    if isinstance(rows, np.ndarray) and rows.ndim == 2:
        # Objects one by one: polars would keep them as such.
        columns = {f"x{place}": rows[:, place] for place in range(rows.shape[1])}
        return _of_columns({name: one.tolist() if one.dtype == object else one for name, one in columns.items()})
    if hasattr(rows, "isna") and hasattr(rows, "columns"):
        return _of_columns(_columns_of_pandas(rows))
    fix = "Give a data frame of polars or pandas, or an array of rows and columns"
    raise Invalid(f"{type(rows).__name__} is no table", where="rows", fix=fix)


def _columns_of_pandas(rows: Any) -> dict[str, list[Any]]:
    """What is missing is a float among texts to pandas, or a value of its own that is neither like nor unlike any other."""
    names = [str(name) for name in rows.columns]
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise Invalid(
            f"several columns are called {twice[0]!r}", where="rows", fix="Give each column a name of its own"
        )
    absent = rows.isna()
    return {
        str(name): [None if gone else one for one, gone in zip(rows[name].tolist(), absent[name].tolist(), strict=True)]
        for name in rows.columns
    }


def _of_columns(columns: Mapping[str, Any]) -> pl.DataFrame:
    found = {}
    for name, values in columns.items():
        try:
            found[name] = pl.Series(name, values)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
            fix = "Give each column numbers, texts, truths or times alone"
            raise Invalid("the values are not of one type", where=f"rows, column {name}", fix=fix) from error
    return pl.DataFrame(found)
