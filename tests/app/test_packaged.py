"""`kept.package`: from a fitted estimator to a bundle, in one line of a notebook."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import kept
from kept.core.errors import Conflict, Invalid
from kept.packaging.bundle import read_bundle
from kept.packaging.runtime import load_runtime

ROWS = pl.DataFrame({"age": np.arange(40.0), "calls": np.arange(40.0) % 7})
LATE = np.arange(40) > 20


class Absent:
    """What pandas puts in place of a number or a text that is missing: it is neither like nor unlike itself."""

    def __ne__(self, other: object) -> Any:
        return self

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")

    __hash__ = None  # type: ignore[assignment]


class Frame:
    """What is used of a data frame of pandas."""

    def __init__(self, values: dict[str, list[Any]], columns: tuple[str, ...] = ()) -> None:
        self._values = values
        self.columns = columns or tuple(values)

    def __getitem__(self, name: str) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
        found = np.empty(len(self._values[name]), dtype=object)
        found[:] = self._values[name]
        return found

    def isna(self) -> "Frame":
        """Of each value whether it is missing."""
        return Frame({name: [isinstance(one, Absent) for one in some] for name, some in self._values.items()})


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        (ROWS, ["age", "calls"]),
        (ROWS.to_numpy(), ["x0", "x1"]),
        (Frame(ROWS.to_dict(as_series=False)), ["age", "calls"]),
    ],
)
def test_a_fitted_estimator_becomes_a_bundle_that_answers_like_it(
    rows: object, names: list[str], tmp_path: Path
) -> None:
    fitted = LogisticRegression().fit(ROWS.to_numpy(), LATE)
    folder = kept.package(fitted, rows, tmp_path / "churn.bundle")
    bundle = read_bundle(folder)
    assert [field.name for field in bundle.manifest.signature.inputs] == names
    assert bundle.manifest.runtime == "onnx"
    load_runtime(folder)


def test_a_cell_that_is_run_again_replaces_its_bundle_and_no_other_folder(tmp_path: Path) -> None:
    fitted = LogisticRegression().fit(ROWS.to_numpy(), LATE)
    target = tmp_path / "churn.bundle"
    first = read_bundle(kept.package(fitted, ROWS, target)).digest
    with pytest.raises(Conflict):
        kept.package(fitted, ROWS, target)
    with pytest.raises(Invalid):
        kept.package(LogisticRegression(), ROWS, target, replace=True)
    assert read_bundle(target).digest == first, "the one before stays where the new one fails"
    again = LogisticRegression(C=0.1).fit(ROWS.to_numpy(), LATE)
    assert read_bundle(kept.package(again, ROWS, target, replace=True)).digest != first
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("a year of work")
    with pytest.raises(Conflict):
        kept.package(fitted, ROWS, other, replace=True)
    assert (other / "thesis.txt").is_file()


def test_numbers_that_are_missing_in_pandas_are_missing(tmp_path: Path) -> None:
    rows = Frame({"age": [*range(39), Absent()], "calls": [one % 7 for one in range(40)]})
    fitted = make_pipeline(SimpleImputer(), LogisticRegression()).fit(ROWS.to_numpy(), LATE)
    bundle = read_bundle(kept.package(fitted, rows, tmp_path / "churn.bundle"))
    assert [field.kind for field in bundle.manifest.signature.inputs] == ["integer", "integer"]


def test_a_folder_that_a_link_leads_to_is_replaced_there(tmp_path: Path) -> None:
    fitted = LogisticRegression().fit(ROWS.to_numpy(), LATE)
    first = read_bundle(kept.package(fitted, ROWS, tmp_path / "first.bundle")).digest
    link = tmp_path / "current.bundle"
    link.symlink_to("first.bundle")
    with pytest.raises(Invalid):
        kept.package(LogisticRegression(), ROWS, link, replace=True)
    assert read_bundle(link).digest == first
    assert kept.package(LogisticRegression(C=0.1).fit(ROWS.to_numpy(), LATE), ROWS, link, replace=True) == link
    assert link.is_symlink()
    assert read_bundle(tmp_path / "first.bundle").digest != first
    assert sorted(one.name for one in tmp_path.iterdir()) == ["current.bundle", "first.bundle"]


@pytest.mark.parametrize(
    ("estimator", "rows", "said"),
    [
        ("no model", ROWS, "no predict"),
        (None, [1, 2], "is no table"),
        (None, ROWS.lazy(), "is no table"),
        (None, Frame({"age": [1, "old"]}), "column age: the values are not of one type"),
        (None, Frame({"age": [1, 2]}, ("age", "age")), "several columns are called 'age'"),
    ],
)
def test_what_is_no_model_or_no_table_is_refused(estimator: object, rows: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=said):
        kept.package(estimator, rows, tmp_path / "churn.bundle")
