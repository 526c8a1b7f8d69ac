"""`kept.package`: from a fitted estimator to a bundle, in one line of a notebook."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

import kept
from kept.core.errors import Conflict, Invalid
from kept.packaging.bundle import read_bundle
from kept.packaging.runtime import load_runtime

ROWS = pl.DataFrame({"age": np.arange(40.0), "calls": np.arange(40.0) % 7})
LATE = np.arange(40) > 20


class Frame:
    """What is used of a data frame of pandas."""

    columns = ("age", "calls")

    def __getitem__(self, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return ROWS[name].to_numpy()

    def to_dict(self) -> dict[str, list[float]]:
        return ROWS.to_dict(as_series=False)

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)


@pytest.mark.parametrize(
    ("rows", "names"), [(ROWS, ["age", "calls"]), (ROWS.to_numpy(), ["x0", "x1"]), (Frame(), ["age", "calls"])]
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


@pytest.mark.parametrize(
    ("estimator", "rows", "said"), [("no model", ROWS, "no predict"), (None, [1, 2], "is no table")]
)
def test_what_is_no_model_or_no_table_is_refused(estimator: object, rows: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=said):
        kept.package(estimator, rows, tmp_path / "churn.bundle")
