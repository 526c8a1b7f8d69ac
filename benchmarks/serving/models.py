"""The models that every service gets: fitted once, saved for the peers by joblib, for Kept as bundles."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from kept.packaging.build import package
from kept.packaging.frames import encode_frame, fit_encoder, signature_of

_ROWS = 5_000
_NUMBERS = [f"n{number:02}" for number in range(30)]
_FEW = [f"n{number:02}" for number in range(8)]
_TEXTS = [f"t{number}" for number in range(6)]


@dataclass(frozen=True)
class Subject:
    """A fitted model, and rows to ask it for.

    Attributes:
        name: `boosted`, `texts`, `kernel` or `centroids`.
        folder: holds `model.joblib` and the folder `bundle`.
        rows: 100 rows by column.
        expected: the probability of the second class of each.
    """

    name: str
    folder: Path
    columns: list[str]
    rows: list[dict[str, Any]]
    expected: list[float]

    @property
    def text(self) -> bool:
        """Whether rows hold text."""
        return self.name == "texts"


def boosted(folder: Path) -> Subject:
    """Histogram gradient boosting, 100 iterations, 30 numbers."""
    model = HistGradientBoostingClassifier(max_iter=100, early_stopping=False)
    return _of_numbers("boosted", folder, model, runtime="onnx")


def kernel(folder: Path) -> Subject:
    """Random features of a kernel before a logistic regression, 30 numbers: nothing exports it."""
    model = make_pipeline(RBFSampler(gamma=0.02, n_components=50, random_state=3), LogisticRegression(max_iter=500))
    return _of_numbers("kernel", folder, model, runtime="skops")


def centroids(folder: Path) -> Subject:
    """The nearest of the classes' centres, 30 numbers: nothing exports it either."""
    return _of_numbers("centroids", folder, NearestCentroid(), runtime="skops")


def texts(folder: Path) -> Subject:
    """A pipeline with columns of text: ColumnTransformer, StandardScaler, OneHotEncoder, logistic regression."""
    random = np.random.default_rng(2)
    words = [f"word{number}" for number in range(12)]
    frame = pl.DataFrame(
        {name: random.normal(size=_ROWS) for name in _FEW} | {name: random.choice(words, _ROWS) for name in _TEXTS}
    )
    label = (frame["n00"] + (frame["t0"] < "word3").cast(pl.Float64) > 0.4).cast(pl.Int64).to_numpy()
    columns = ColumnTransformer(
        [("numbers", StandardScaler(), _FEW), ("texts", OneHotEncoder(handle_unknown="ignore"), _TEXTS)]
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=500)).fit(frame, label)
    folder.mkdir(parents=True)
    signature = signature_of(frame, fit_encoder(frame), task="binary", classes=(0, 1))
    manifest = package(model, None, signature, frame, folder / "bundle")
    if manifest.runtime != "onnx":
        raise SystemExit(f"the pipeline was not exported: {manifest.not_exported}")
    # The peers' environments know pandas, not polars; the pipeline is the same but for the frames that it takes.
    return _saved("texts", folder, model, frame, model.predict_proba(frame.head(100))[:, 1])


def _of_numbers(name: str, folder: Path, model: Any, *, runtime: str) -> Subject:
    random = np.random.default_rng(1)
    frame = pl.DataFrame({name: random.normal(size=_ROWS) for name in _NUMBERS})
    label = (frame["n00"] * frame["n01"] + frame["n02"] + random.normal(size=_ROWS) > 0).cast(pl.Int64).to_numpy()
    encoder = fit_encoder(frame)
    matrix = encode_frame(frame, encoder)
    model.fit(matrix, label)
    folder.mkdir(parents=True)
    signature = signature_of(frame, encoder, task="binary", classes=(0, 1))
    manifest = package(model, encoder, signature, frame, folder / "bundle")
    if manifest.runtime != runtime:
        raise SystemExit(f"{name} was packaged for {manifest.runtime}, not {runtime}: {manifest.not_exported}")
    return _saved(name, folder, model, frame, model.predict_proba(matrix[:100])[:, 1])


def _saved(name: str, folder: Path, model: Any, frame: pl.DataFrame, expected: NDArray[np.float64]) -> Subject:
    joblib.dump(model, folder / "model.joblib")
    subject = Subject(name, folder, frame.columns, frame.head(100).to_dicts(), expected.tolist())
    (folder / "rows.json").write_text(json.dumps({"columns": subject.columns, "rows": subject.rows}))
    return subject
