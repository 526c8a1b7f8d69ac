"""What no exporter of ours covers is converted by skl2onnx, and served only where its answers are those of the estimator."""

import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import skops.io
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.decomposition import TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    StackingRegressor,
)
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import (
    RBF,
    DotProduct,
    ExpSineSquared,
    Matern,
    PairwiseKernel,
    RationalQuadratic,
    WhiteKernel,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, OneHotEncoder, SplineTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from kept.core.errors import Forbidden, Invalid
from kept.packaging.answers import answering
from kept.packaging.build import package
from kept.packaging.exporters.conversion import convert_predictor
from kept.packaging.exporters.deadline import in_time
from kept.packaging.exporters.graph import Graph
from kept.packaging.exporters.registry import Exported, NotExportable, export
from kept.packaging.frames import encode_frame, fit_encoder, infer_signature, signature_of
from kept.packaging.manifest import Manifest, ParityReport
from kept.packaging.onnx_model import OnnxModel
from kept.packaging.parity import check_parity
from kept.packaging.probes import matrix_probes
from kept.packaging.runtime import load_runtime
from kept.packaging.signature import Task
from kept.packaging.sklearn_model import load_skops, save_skops

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def numbers() -> pl.DataFrame:
    random = np.random.default_rng(5)
    return pl.DataFrame(random.normal(size=(300, 3)), schema=list(NAMES), orient="row")


def target(frame: pl.DataFrame, task: Task) -> NDArray[Any]:
    a, b, c = (frame.get_column(name).fill_null(0).to_numpy() for name in NAMES)
    score = a + b * c
    if task == "regression":
        return np.asarray(score)
    return np.asarray(np.digitize(score, [0.0] if task == "binary" else [-0.5, 0.5]))


def quietly(fit: Any, *args: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit(*args)


def bundled(estimator: Any, frame: pl.DataFrame, task: Task, folder: Path) -> tuple[Manifest, Any, Any]:
    """The bundle's manifest, the estimator's own answers and the bundle's."""
    encoder = fit_encoder(frame)
    matrix = encode_frame(frame, encoder)
    wanted = target(frame, task)
    quietly(estimator.fit, matrix, wanted)
    classes = () if task == "regression" else tuple(np.unique(wanted).tolist())
    signature = signature_of(frame, encoder, task=task, classes=classes)
    manifest = package(estimator, encoder, signature, frame, folder, latency_runs=20)
    expected = quietly(answering(estimator, signature), matrix)
    return manifest, expected, load_runtime(folder).predict_rows(frame.to_dicts())


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize(
    ("estimator", "exact"),
    [
        (GaussianNB(), True),
        (KNeighborsClassifier(), True),
        (KNeighborsClassifier(1, algorithm="brute"), True),
        (MLPClassifier(hidden_layer_sizes=(8,), max_iter=30, random_state=0), True),
        (QuadraticDiscriminantAnalysis(), True),
        (SVC(probability=True, random_state=0), False),
        (CalibratedClassifierCV(GaussianNB()), True),
        (StackingClassifier([("one", LogisticRegression()), ("two", GaussianNB())]), True),
        (make_pipeline(StandardScaler(), TruncatedSVD(2), LogisticRegression()), True),
        (make_pipeline(Normalizer(), LogisticRegression()), True),
    ],
    ids=lambda one: "" if isinstance(one, bool) else str(one).split("(", maxsplit=1)[0],
)
def test_classifiers_answer_as_they_did(
    estimator: Any, exact: bool, task: Task, numbers: pl.DataFrame, tmp_path: Path
) -> None:
    manifest, expected, found = bundled(estimator, numbers, task, tmp_path / "b")
    assert (manifest.runtime, manifest.not_exported) == ("onnx", "")
    assert manifest.converted
    assert np.abs(expected - found).max() < (1e-12 if exact else 1e-6)
    assert manifest.parity.tolerance == 1e-6
    assert "between rows" in {group.name for group in manifest.parity.groups}


@pytest.mark.parametrize(
    "estimator",
    [
        GaussianProcessRegressor(alpha=0.1),
        KNeighborsRegressor(),
        MLPRegressor(hidden_layer_sizes=(8,), max_iter=30, random_state=0),
        StackingRegressor([("one", Ridge()), ("two", KNeighborsRegressor())]),
    ],
    ids=lambda one: type(one).__name__,
)
def test_regressors_answer_as_they_did(estimator: Any, numbers: pl.DataFrame, tmp_path: Path) -> None:
    manifest, expected, found = bundled(estimator, numbers, "regression", tmp_path / "b")
    assert manifest.runtime == "onnx", manifest.not_exported
    assert np.abs(expected - found).max() < 1e-6


def test_only_the_steps_without_an_exporter_are_converted(numbers: pl.DataFrame, tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), TruncatedSVD(2), LogisticRegression())
    manifest, *_ = bundled(model, numbers, "binary", tmp_path / "b")
    assert manifest.converted == ("TruncatedSVD",)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    manifest, *_ = bundled(model, numbers, "binary", tmp_path / "c")
    assert manifest.converted == ()
    assert manifest.parity.tolerance == 1e-9


def test_a_table_with_text_is_encoded_by_us_and_what_follows_converted(tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    table = pl.DataFrame({"word": random.choice(list("abc"), 200), "size": random.normal(size=200)})
    late = (table["size"].to_numpy() > 0).astype(int)
    steps = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["word"]), ("passthrough", ["size"])
    )
    model = make_pipeline(steps, KNeighborsClassifier()).fit(table, late)
    signature = infer_signature(table, table.columns, task="binary", classes=(0, 1))
    manifest = package(model, None, signature, table, tmp_path / "b", latency_runs=20)
    assert (manifest.runtime, manifest.input, manifest.converted) == ("onnx", "matrix", ("KNeighborsClassifier",))
    rows = [*table.to_dicts(), {"word": "never seen", "size": 0.1}, {"word": None, "size": -0.1}]
    asked = pl.DataFrame(rows, schema=table.schema)
    assert np.abs(load_runtime(tmp_path / "b").predict_rows(rows) - model.predict_proba(asked)[:, 1]).max() < 1e-12


def verdict(model: Any, matrix: NDArray[np.float64], wanted: NDArray[Any]) -> ParityReport:
    """What the check says of a whole estimator's conversion, whether or not there are exporters of ours for its parts."""
    quietly(model.fit, matrix, wanted)
    graph = Graph(matrix.shape[1])
    answers = convert_predictor(model, graph, graph.input)
    data = graph.finish(answers, 1)
    frame = pl.DataFrame(matrix, schema=list(NAMES), orient="row")
    encoder = fit_encoder(frame)
    signature = signature_of(frame, encoder, task="binary", classes=(0, 1))
    original = answering(model, signature)
    exported = Exported(model=data, splits={}, member_columns=frozenset({2}), converted=tuple(graph.converted))

    def ask(rows: Any) -> Any:
        with np.errstate(all="ignore"):
            return quietly(original, rows)

    run = OnnxModel(data, width=matrix.shape[1]).run

    def answer(rows: Any) -> Any:
        ask(rows)  # what the original refuses is refused by the runtime before the model; here by the original itself
        return run(np.ascontiguousarray(rows)).ravel()

    return check_parity(ask, answer, matrix_probes(matrix, encoder, exported), tolerance=1e-6)


@pytest.mark.parametrize(
    ("model", "rounded", "missing"),
    [
        (LinearDiscriminantAnalysis(), False, False),
        (make_pipeline(SimpleImputer(add_indicator=True), LogisticRegression()), False, True),
        (CalibratedClassifierCV(GaussianNB(), method="isotonic"), False, False),
        # Of neighbours at one distance it takes others; and it does not know a distance of nothing.
        (KNeighborsClassifier(), True, False),
        (KNeighborsClassifier(weights="distance"), False, False),
    ],
    ids=["discriminant", "indicator", "isotonic", "ties", "weights"],
)
def test_what_converts_without_an_error_and_answers_otherwise_is_refused(
    model: Any, rounded: bool, missing: bool
) -> None:
    random = np.random.default_rng(3)
    matrix = random.normal(size=(400, 3))
    matrix[:, 2] = random.integers(0, 40, 400)
    late = (matrix[:, 0] + matrix[:, 2] % 3 > 1).astype(int)
    if rounded:
        matrix = np.round(matrix)
    if missing:
        matrix[random.random(matrix.shape) < 0.2] = np.nan
    report = verdict(model, matrix, late)
    assert not report.holds
    assert "training rows: the answers differ by 0." in report.reason


@pytest.mark.parametrize(
    "model",
    [
        HistGradientBoostingClassifier(max_iter=2, categorical_features=[2]),
        RandomForestClassifier(n_estimators=2),
        BaggingClassifier(n_estimators=2),
        AdaBoostClassifier(n_estimators=2),
        StackingClassifier([("tree", DecisionTreeClassifier())], cv=2),
    ],
    ids=lambda one: type(one).__name__,
)
def test_trees_are_not_converted(model: Any, numbers: pl.DataFrame) -> None:
    # It flips labels of rows with missing values, on thresholds and with large values, and does not end for some trees.
    matrix = np.abs(np.round(numbers.to_numpy()))
    with pytest.raises(Invalid, match="there are trees in"):
        verdict(model, matrix, target(numbers, "binary"))


def test_a_conversion_that_is_wrong_far_from_the_data_is_served_near_them(
    numbers: pl.DataFrame, tmp_path: Path
) -> None:
    manifest, *_ = bundled(KNeighborsClassifier(), numbers, "binary", tmp_path / "b")
    assert manifest.runtime == "onnx"
    assert manifest.limits is not None
    bounds = [bound for bound in manifest.limits.largest if bound is not None]
    assert len(bounds) == 3
    assert all(1e6 <= bound < 1e300 for bound in bounds)
    with pytest.raises(Invalid, match="larger than the model can take"):
        load_runtime(tmp_path / "b").predict_rows([{"a": 1e300, "b": 0.0, "c": 0.0}])


class Unknown(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator of somebody's own."""

    def fit(self, rows: Any, wanted: Any) -> "Unknown":
        self.classes_, self.n_features_in_ = np.unique(wanted), rows.shape[1]
        return self

    def predict_proba(self, rows: Any) -> Any:
        return np.full((len(rows), 2), 0.5)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Unknown(), "no exact exporter for Unknown; skl2onnx does not convert Unknown: MissingShapeCalculator"),
        (GaussianProcessClassifier(), "Solve is of the domain 'com.microsoft'"),
        (CalibratedClassifierCV(GaussianNB(), method="temperature"), "skl2onnx does not convert"),
    ],
    ids=["unknown", "operator", "release"],
)
def test_what_cannot_be_converted_says_why(model: Any, reason: str, numbers: pl.DataFrame) -> None:
    result = export(quietly(model.fit, numbers.to_numpy(), target(numbers, "binary")))
    assert isinstance(result, NotExportable)
    assert reason in result.reason


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize(
    "kernel",
    [
        None,
        1.5 * RBF([1.0, 2.0, 1.0]) + WhiteKernel(0.1),
        Matern() * RationalQuadratic() + 0.1 * ExpSineSquared(periodicity=5.0),
        DotProduct() ** 2 + PairwiseKernel(metric="rbf") + WhiteKernel(0.1),
    ],
    ids=["usual", "sum", "product", "pairs"],
)
def test_gaussian_processes_of_classes_are_served_from_a_safe_file(
    kernel: Any, task: Task, numbers: pl.DataFrame, tmp_path: Path
) -> None:
    model = GaussianProcessClassifier(kernel, optimizer=None)
    manifest, expected, found = bundled(model, numbers.head(60), task, tmp_path / "b")
    assert (manifest.runtime, manifest.converted) == ("skops", ())
    assert np.array_equal(expected, found)


def test_splines_that_refuse_what_lies_beyond_are_served_from_a_safe_file(
    numbers: pl.DataFrame, tmp_path: Path
) -> None:
    model = make_pipeline(SplineTransformer(extrapolation="error"), LogisticRegression())
    manifest, expected, found = bundled(model, numbers, "binary", tmp_path / "b")
    assert (manifest.runtime, "refuse values beyond the knots" in manifest.not_exported) == ("skops", True)
    assert np.array_equal(expected, found)
    with pytest.raises(Invalid, match="larger than the model can take. Send at most"):
        load_runtime(tmp_path / "b").predict_rows([{"a": 1e9, "b": 0.0, "c": 0.0}])


def test_a_kernel_brings_no_function_into_a_safe_file() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 2))
    model = GaussianProcessClassifier(PairwiseKernel(metric=os.path.join), optimizer=None)
    model.classes_, model.n_features_in_, model.X_train_ = np.arange(2), 2, rows
    with pytest.raises(Invalid, match="join, not known to be safe"):
        save_skops(model)
    with pytest.raises(Forbidden):
        load_skops(skops.io.dumps(model))


@pytest.mark.parametrize("broken", [None, SimpleNamespace(), SimpleNamespace(convert_sklearn=lambda *_, **__: 1 / 0)])
def test_a_converter_that_is_missing_or_broken_stops_nothing(
    broken: Any, numbers: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "skl2onnx", broken)
    manifest, expected, found = bundled(GaussianNB(), numbers, "binary", tmp_path / "b")
    assert (manifest.runtime, manifest.converted) == ("skops", ())
    assert "no exact exporter for GaussianNB; skl2onnx" in manifest.not_exported
    assert ("pip install 'kept[skl2onnx]'" in manifest.not_exported) == (broken is None)
    assert np.array_equal(expected, found)


def test_a_conversion_without_an_end_is_ended() -> None:
    went_on = True

    def make() -> None:
        try:
            while True:
                pass
        finally:
            nonlocal went_on
            went_on = False

    with pytest.raises(TimeoutError, match=r"longer than 0\.2 s"):
        in_time(make, 0.2)
    deadline = time.monotonic() + 60
    while went_on and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not went_on
    assert in_time(lambda: 3, 60.0) == 3
    with pytest.raises(ZeroDivisionError):
        in_time(lambda: 1 / 0, 60.0)


def test_serving_what_was_converted_loads_no_scikit_learn(numbers: pl.DataFrame, tmp_path: Path) -> None:
    bundled(GaussianNB(), numbers, "binary", tmp_path / "b")
    code = (
        "import sys; from pathlib import Path; from kept.packaging.runtime import load_runtime;"
        "load_runtime(Path(sys.argv[1])).predict_rows([{'a': 1.0, 'b': 0.0, 'c': 2.0}]);"
        "print([name for name in ('sklearn', 'skl2onnx', 'onnx', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "b")], capture_output=True, text=True, check=True, timeout=540
    )
    assert done.stdout.strip() == "[]"
