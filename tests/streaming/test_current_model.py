"""Models of a stream that are no ONNX: scored in the process of the stream."""

from pathlib import Path

import numpy as np
import polars as pl
from brokers import COLUMNS, rows, value
from sklearn.compose import ColumnTransformer
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline

from kept.app.streaming.judging import Beside
from kept.app.streaming.message import Message, Partition
from kept.app.streaming.models import CurrentModel
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.packaging.build import package
from kept.packaging.bundle import store_bundle
from kept.packaging.frames import encode_frame, fit_encoder, infer_signature
from registering import register


def judged(workspace: Workspace, me: Actor, bundle: Path, scratch: Path, frame: pl.DataFrame) -> list[float]:
    version = register(workspace, me, "rides", store_bundle(bundle, workspace.blobs))
    current = CurrentModel(lambda: version, workspace, scratch, endpoint="rides", stream="g", beside=Beside(), every=60)
    messages = [
        Message(partition=Partition("rides", 0), offset=place, value=value(**row))
        for place, row in enumerate(frame.to_dicts())
    ]
    found = current().judge(messages)
    assert found.refused == []
    return found.entry.scores


def test_a_model_that_scikit_learn_runs_scores_messages(workspace: Workspace, me: Actor, tmp_path: Path) -> None:
    frame = rows(100)
    encoder = fit_encoder(frame, COLUMNS)
    matrix = encode_frame(frame, encoder)
    fitted = NearestCentroid().fit(matrix, frame["hour"] > 12)
    signature = infer_signature(frame, COLUMNS, task="binary", classes=[False, True])
    assert package(fitted, encoder, signature, frame.head(50), tmp_path / "bundle").runtime == "skops"
    found = judged(workspace, me, tmp_path / "bundle", tmp_path / "scratch", frame)
    np.testing.assert_allclose(found, fitted.predict_proba(matrix)[:, 1], atol=1e-12)


def test_a_model_that_takes_a_table_scores_messages(workspace: Workspace, me: Actor, tmp_path: Path) -> None:
    frame = rows(100)
    taking = ColumnTransformer([("number", "passthrough", COLUMNS)])
    fitted = make_pipeline(taking, NearestCentroid()).fit(frame.select(COLUMNS), frame["hour"] > 12)
    signature = infer_signature(frame, COLUMNS, task="binary", classes=[False, True])
    package(fitted, None, signature, frame.head(50), tmp_path / "bundle")
    found = judged(workspace, me, tmp_path / "bundle", tmp_path / "scratch", frame)
    np.testing.assert_allclose(found, fitted.predict_proba(frame.select(COLUMNS))[:, 1], atol=1e-12)
