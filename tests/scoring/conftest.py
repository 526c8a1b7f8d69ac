from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression

from kept.packaging.build import package
from kept.packaging.frames import encode_frame, fit_encoder, signature_of
from kept.packaging.signature import Task

ROWS = 1_000
INPUTS = ["number", "kind", "flag", "count", "shelf"]


@pytest.fixture(scope="session")
def rows() -> pl.DataFrame:
    """Rows with a key, a number, a category, a flag, a count and a category of whole numbers; gaps in each input."""
    random = np.random.default_rng(3)
    whole = pl.DataFrame(
        {
            "key": [f"r{number}" for number in range(ROWS)],
            "number": random.normal(size=ROWS),
            "kind": random.choice(["a", "b", "007", "long, with a comma"], ROWS),
            "flag": random.random(ROWS) > 0.5,
            "count": random.integers(0, 9, ROWS),
            "shelf": random.integers(1, 5, ROWS),
        }
    )
    gap = pl.Series(random.random(ROWS) < 0.1)
    return whole.with_columns(pl.when(~gap).then(pl.col(name)).alias(name) for name in INPUTS)


@pytest.fixture(scope="session")
def bundle(rows: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packaged classifier of two classes."""
    return _classifier(rows, ("no", "yes"), tmp_path_factory.mktemp("binary") / "bundle")


@pytest.fixture(scope="session")
def three_classes(rows: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packaged classifier of three classes, which are whole numbers."""
    return _classifier(rows, (0, 1, 2), tmp_path_factory.mktemp("multiclass") / "bundle")


@pytest.fixture(scope="session")
def line(rows: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packaged regression that takes only complete rows."""
    complete = rows.drop_nulls()
    encoder = fit_encoder(complete, ["number", "count"])
    model = LinearRegression().fit(encode_frame(complete, encoder), complete.get_column("number").to_numpy() * 2 + 1)
    folder = tmp_path_factory.mktemp("regression") / "bundle"
    package(model, encoder, signature_of(complete, encoder, task="regression"), complete, folder)
    return folder


def _classifier(rows: pl.DataFrame, classes: tuple[str, ...] | tuple[int, ...], folder: Path) -> Path:
    encoder = fit_encoder(rows, INPUTS, categorical=["shelf"])
    target = np.array(classes)[np.random.default_rng(4).integers(0, len(classes), rows.height)]
    model = HistGradientBoostingClassifier(max_iter=5, categorical_features=encoder.categorical)
    model.fit(encode_frame(rows, encoder), target)
    task: Task = "binary" if len(classes) == 2 else "multiclass"
    package(model, encoder, signature_of(rows, encoder, task=task, classes=classes), rows, folder)
    return folder
