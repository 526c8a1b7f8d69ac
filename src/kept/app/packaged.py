"""`kept.package`: a bundle of an estimator where it was fitted, in a notebook or a script."""

import shutil
import tempfile
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
        before = Path(made) / "before"
        if replace and (target / MANIFEST).is_file():
            shutil.move(target, before)
        try:
            return bundle_of_skops(path, frame, target)
        finally:
            if before.exists() and not target.exists():
                shutil.move(before, target)


def _frame(rows: Any) -> pl.DataFrame:
    if isinstance(rows, pl.DataFrame):
        return rows
    if isinstance(rows, np.ndarray) and rows.ndim == 2:
        return pl.DataFrame({f"x{place}": rows[:, place] for place in range(rows.shape[1])})
    if hasattr(rows, "columns") and hasattr(rows, "to_dict"):
        # What is missing among texts is a float to pandas.
        values = {str(name): rows[name].tolist() for name in rows.columns}
        return pl.DataFrame({name: [None if one != one else one for one in some] for name, some in values.items()})  # noqa: PLR0124
    fix = "Give a data frame of polars or pandas, or an array of rows and columns"
    raise Invalid(f"{type(rows).__name__} is no table", where="rows", fix=fix)
