from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from kept.packaging.build import package
from kept.packaging.frames import encode_frame, fit_encoder, signature_of
from kept.packaging.manifest import Manifest


@pytest.fixture(scope="session")
def frame() -> pl.DataFrame:
    """Rows with a number, a category, a time in seconds, a flag and a count; missing values in each."""
    random = np.random.default_rng(7)
    size = 400
    rows = pl.DataFrame(
        {
            "number": random.normal(size=size),
            "category": random.choice(list("abcdefghijkl"), size),
            "when": 1.7e9 + random.integers(0, 10**7, size),
            "flag": random.random(size) > 0.5,
            "count": random.integers(0, 9, size),
        }
    )
    gaps = pl.DataFrame(random.random((size, rows.width)) < 0.1, schema=rows.columns)
    return rows.select(
        pl.when(gaps.get_column(name)).then(None).otherwise(pl.col(name)).alias(name) for name in rows.columns
    )


@pytest.fixture(scope="session")
def late(frame: pl.DataFrame) -> NDArray[np.int64]:
    """A binary target that depends on the columns."""
    random = np.random.default_rng(8)
    score = (
        frame.get_column("number").fill_null(0).to_numpy() + frame.get_column("flag").fill_null(value=False).to_numpy()
    )
    target: NDArray[np.int64] = (score + random.normal(size=len(score)) > 0.5).astype(np.int64)
    return target


@pytest.fixture
def packaged(frame: pl.DataFrame, late: NDArray[np.int64], tmp_path: Path) -> Callable[[str], tuple[Path, Manifest]]:
    """Makes a bundle of a small boosted model."""

    def make(name: str = "bundle") -> tuple[Path, Manifest]:
        encoder = fit_encoder(frame)
        model = HistGradientBoostingClassifier(max_iter=5, categorical_features=encoder.categorical)
        model.fit(encode_frame(frame, encoder), late)
        signature = signature_of(frame, encoder, task="binary", classes=(0, 1))
        return tmp_path / name, package(model, encoder, signature, frame, tmp_path / name)

    return make
