"""What narwhals is asked of matrices in the process of a model."""

from collections.abc import Iterator

import narwhals.stable.v2.dependencies as asked
import numpy as np
import polars as pl
import pytest

from kept.serving.children.matrices import know_matrices


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    frame, series = asked.is_into_dataframe, asked.is_into_series
    yield
    asked.is_into_dataframe, asked.is_into_series = frame, series


def test_answers_stay_what_they_were() -> None:
    ones = (
        np.zeros((2, 3)), np.zeros(2), np.zeros((2, 3)).view(np.matrix), [[1.0]], None, pl.DataFrame({"a": [1]}), pl.Series([1]), "a",
    )  # fmt: skip
    before = [(asked.is_into_dataframe(one), asked.is_into_series(one)) for one in ones]
    know_matrices()
    assert [(asked.is_into_dataframe(one), asked.is_into_series(one)) for one in ones] == before
    assert (True, False) in before
    assert (False, True) in before


def test_a_matrix_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(asked, "is_into_dataframe", seen.append)
    know_matrices()
    frame = pl.DataFrame({"a": [1]})
    asked.is_into_dataframe(np.zeros((2, 3)))
    asked.is_into_dataframe(frame)
    (only,) = seen
    assert only is frame
