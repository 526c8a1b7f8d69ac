"""What Kept judged and released, in the hands of an unmodified client of MLflow."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from asking import Ask
from numpy.typing import NDArray
from running import run_script, serving
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from kept.app.workspace import embedded_actor, open_workspace
from kept.evaluation.gate import judge
from kept.evaluation.report import evaluate
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.packaging.build import package
from kept.packaging.bundle import store_bundle
from kept.packaging.encoding import TableEncoder
from kept.packaging.frames import encode_frame, fit_encoder, infer_signature, signature_of
from kept.packaging.runtime import load_runtime
from kept.packaging.signature import Signature
from kept.plan.objective import at_most
from kept.registry.card import Lineage, write_card
from kept.registry.catalog import RegisterVersion, register_version
from kept.registry.version import ModelVersion
from kept.settings.settings import Settings

SCRIPT = Path(__file__).parent / "exchanging" / "loading_judged_versions.py"


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """Rows with a number, texts, codes, a time in seconds, a truth and a count; some of each are missing."""
    random = np.random.default_rng(7)
    size = 300
    whole = pl.DataFrame(
        {
            "number": random.normal(size=size),
            "category": random.choice(list("abcdefghijkl"), size),
            "code": random.integers(0, 5, size),
            "when": 1.7e9 + random.integers(0, 10**7, size),
            "flag": random.random(size) > 0.5,
            "count": random.integers(0, 9, size),
        }
    )
    gaps = pl.DataFrame(random.random((size, whole.width)) < 0.1, schema=whole.columns)
    return whole.select(
        pl.when(gaps.get_column(name)).then(None).otherwise(pl.col(name)).alias(name) for name in whole.columns
    )


@pytest.fixture(scope="module")
def score(rows: pl.DataFrame) -> NDArray[np.float64]:
    """What is to be learnt."""
    random = np.random.default_rng(8)
    number = rows.get_column("number").fill_null(0).to_numpy() + random.normal(size=rows.height)
    found: NDArray[np.float64] = number + rows.get_column("flag").fill_null(value=False).to_numpy()
    return found


def register(
    workspace: Workspace,
    me: Actor,
    name: str,
    estimator: Any,
    encoder: TableEncoder | None,
    signature: Signature,
    rows: pl.DataFrame,
    labels: NDArray[Any],
    folder: Path,
) -> tuple[ModelVersion, list[Any]]:
    """Packages, judges and registers an estimator; gives the version, and what its bundle answers to the rows."""
    package(estimator, encoder, signature, rows, folder / name, latency_runs=5)
    bundle = store_bundle(folder / name, workspace.blobs)
    answers = load_runtime(folder / name).predict_rows(rows.to_dicts())
    promised = [at_most("size_mb", 20)]
    task, classes = signature.task, signature.classes
    assert task != "tensors"
    report = evaluate(task, classes, answers, labels, rows, promised, {"size_mb": 1.0}, seed=0)
    lineage = Lineage(
        question="Which?", owner="ada", estimator=name, data=(), features=signature.names, training_rows=1, bundle=bundle
    )  # fmt: skip
    request = RegisterVersion(
        project=name, model=name, bundle=bundle, verdict=judge(promised, report), card=write_card(lineage, report)
    )
    return register_version(workspace, me, request), answers.tolist()


def boosted(rows: pl.DataFrame, labels: NDArray[Any]) -> tuple[Any, TableEncoder, Signature]:
    """A boosted model that takes texts and codes as categories."""
    encoder = fit_encoder(rows, categorical=["code"])
    classes = sorted(set(labels.tolist())) if labels.dtype.kind == "i" else []
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    task: Any = {0: "regression", 2: "binary"}.get(len(classes), "multiclass")
    estimator = kind(max_iter=5, categorical_features=encoder.categorical).fit(encode_frame(rows, encoder), labels)
    return estimator, encoder, signature_of(rows, encoder, task=task, classes=classes)


def test_a_client_loads_them_and_gets_what_kept_answers(
    rows: pl.DataFrame, score: NDArray[np.float64], client_python: Path, tmp_path: Path
) -> None:
    settings = Settings(workspace=str(tmp_path / "workspace"))
    workspace, me = open_workspace(settings), embedded_actor(settings, "python")
    late = (score > 0.5).astype(np.int64)
    labels = {"binary": late, "multiclass": np.digitize(score, [0, 1]), "regression": score}
    expected = {}
    for name, target in labels.items():
        made = boosted(rows, target)
        expected[name] = register(workspace, me, name, *made, rows, target, tmp_path)[1]
    numbers, texts = ["number", "when", "count"], ["category", "flag"]
    chosen = rows.select(numbers + texts)
    signature = infer_signature(chosen, chosen.columns, task="binary", classes=(0, 1))
    # One of the two is exported, the other is served by scikit-learn.
    for name, last in (("columns", LogisticRegression()), ("table", NearestCentroid())):
        by_name = make_pipeline(
            make_column_transformer(
                (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
                (OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
            ),
            last,
        ).fit(chosen, late)
        expected[name] = register(workspace, me, name, by_name, None, signature, chosen, late, tmp_path)[1]
    rows.write_csv(tmp_path / "rows.csv")
    rows.write_json(tmp_path / "rows.json")
    (tmp_path / "expected.json").write_text(json.dumps(expected))
    with serving(tmp_path) as (server, _):
        run_script(client_python, SCRIPT, server, tmp_path)


def test_its_files_are_listed_read_and_never_changed(
    ask: Ask, workspace: Workspace, me: Actor, rows: pl.DataFrame, score: NDArray[np.float64], tmp_path: Path
) -> None:
    version, _ = register(workspace, me, "trains", *boosted(rows, score), rows, score, tmp_path)
    address = ask("GET", "model-versions/get-download-uri", name="trains", version="1")["artifact_uri"]
    assert address == f"mlflow-artifacts:/judged-versions/{version.id}"
    assert ask("GET", "model-versions/get", name="trains", version="1")["model_version"]["source"] == address
    proxy, place = "/api/2.0/mlflow-artifacts/", address.removeprefix("mlflow-artifacts:/")
    found = ask("GET", "artifacts", root=proxy, path=place)["files"]
    assert {one["path"] for one in found} >= {"MLmodel", "bundle", "code", "requirements.txt", "input_example.json"}
    inner = ask("GET", "artifacts", root=proxy, path=f"{place}/bundle")["files"]
    assert {one["path"]: one["is_dir"] for one in inner}["model.onnx"] is False
    denied = (403, "PERMISSION_DENIED")
    for method in ("PUT", "DELETE"):
        assert "never change" in ask(method, f"artifacts/{place}/MLmodel", {}, root=proxy, fails=denied)
    missing = (404, "RESOURCE_DOES_NOT_EXIST")
    ask("GET", "artifacts", root=proxy, path="judged-versions/nobody", fails=missing)
    ask("GET", f"artifacts/{place}/nothing", root=proxy, fails=missing)
    assert ask("GET", "artifacts", root=proxy, path="judged-versions") == {}
    ask("POST", "registered-models/create", {"name": "copy"})
    refusal = (400, "INVALID_PARAMETER_VALUE")
    body = {"name": "copy", "source": "models:/trains/1"}
    assert "bundle" in ask("POST", "model-versions/create", body, fails=refusal)
    body = {"name": "copy", "source": address}
    ask("POST", "model-versions/create", body, fails=refusal)
