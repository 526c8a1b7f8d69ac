"""scikit-learn's pipelines answer in Kept as they answer by themselves."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from kept.packaging.build import package
from kept.packaging.frames import fit_encoder, signature_of
from kept.packaging.runtime import load_runtime
from kept.packaging.signature import Task
from kept.packaging.sklearn_model import SklearnModel, load_skops, save_skops

_FEATURES = RBFSampler(n_components=10, random_state=1)


@pytest.mark.parametrize(
    ("task", "model"),
    [
        ("binary", make_pipeline(StandardScaler(), _FEATURES, LogisticRegression())),
        ("binary", Pipeline([("none", "passthrough"), ("inner", make_pipeline(_FEATURES, LogisticRegression()))])),
        ("multiclass", make_pipeline(None, _FEATURES, LogisticRegression())),
        ("regression", make_pipeline(StandardScaler(), PCA(2), Ridge())),
        ("regression", make_pipeline(_FEATURES, Ridge()).set_output(transform="polars")),
    ],
)
def test_pipelines_answer_as_they_do_by_themselves(task: Task, model: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    frame = pl.DataFrame({name: random.normal(size=60) for name in "abc"})
    matrix = frame.to_numpy()
    target = matrix[:, 0] if task == "regression" else np.arange(60) % (3 if task == "multiclass" else 2)
    model.fit(matrix, target)
    classes = () if task == "regression" else tuple(np.unique(target).tolist())
    encoder = fit_encoder(frame)
    signature = signature_of(frame, encoder, task=task, classes=classes)
    manifest = package(model, encoder, signature, frame, tmp_path / "bundle")
    expected = model.predict(matrix) if task == "regression" else model.predict_proba(matrix)
    expected = expected[:, 1] if task == "binary" else expected
    assert np.allclose(load_runtime(tmp_path / "bundle").predict(matrix), expected, rtol=0, atol=1e-12)
    found = SklearnModel(manifest, load_skops(save_skops(model))).run(matrix)
    assert np.array_equal(found, expected)
