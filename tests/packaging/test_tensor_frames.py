"""Columns that hold tensors, as arrays and as numbers that can be watched."""

import numpy as np
import polars as pl
import pytest

from kept.packaging.tensor_frames import is_tensor, sample_of, with_numbers

FRAME = pl.DataFrame(
    {
        "vector": [[3.0, 4.0], [0.0, 0.0], [1.0, 1.0, 1.0], [6.0, 8.0], None],
        "size": [1, 2, 3, 4, 5],
        "pixels": pl.Series([[[1, 2], [3, 4]]] * 5, dtype=pl.Array(pl.UInt8, (2, 2))),
    }
)


def test_which_columns_hold_tensors() -> None:
    assert [is_tensor(FRAME[name]) for name in FRAME.columns] == [True, False, True]


def test_rows_of_other_shapes_are_left_out_of_a_sample() -> None:
    sample = sample_of(FRAME.head(4), ["vector", "size", "pixels"], 10)
    np.testing.assert_array_equal(sample["vector"], [[3, 4], [0, 0], [6, 8]])
    assert sample["size"].tolist() == [1, 2, 4]
    assert sample["pixels"].shape == (3, 2, 2)
    assert len(sample_of(FRAME.head(4), ["size"], 2)["size"]) == 2


def test_numbers_stand_for_tensors() -> None:
    frame, names = with_numbers(FRAME, ("size", "vector"))
    assert names == ("size", "vector__norm", "vector__mean", "vector__deviation")
    assert frame["vector__norm"].to_list()[:2] == [5.0, 0.0]
    assert frame["vector__norm"].to_list()[2] == pytest.approx(np.sqrt(3))
    assert frame["vector__mean"].to_list() == [3.5, 0.0, 1.0, 7.0, None]
    assert frame["vector__deviation"].to_list()[:2] == [0.5, 0.0]
    assert with_numbers(FRAME, ("size", "pixels"), norm_only=True)[1] == ("size", "pixels__norm")
