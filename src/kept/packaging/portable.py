"""Runs a bundle where Kept is not installed: this one file goes with it, into the folder that clients of MLflow load.

It needs NumPy, and ONNX Runtime, or scikit-learn with skops where the bundle is a skops file. It imports nothing of Kept,
reads the same bytes as a prediction service does, and answers the same numbers or refuses the rows. The bundle's
files are checked against the digests in its manifest, and its answers against its own self-test.
"""

import hashlib
import importlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Parts of fitted scikit-learn estimators that skops does not list itself. All of them hold data only; functools.partial
# is loaded with a function that must be trusted as well; check_array is the one that histogram boosting keeps, asarray that of splines.
TRUSTED_TYPES = (
    "functools.partial",
    "numpy.dtype",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "scipy.interpolate._bsplines.BSpline",
    "scipy.interpolate._bsplines._BSpline",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.CompoundKernel",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.DotProduct",
    "sklearn.gaussian_process.kernels.ExpSineSquared",
    "sklearn.gaussian_process.kernels.Exponentiation",
    "sklearn.gaussian_process.kernels.Matern",
    "sklearn.gaussian_process.kernels.PairwiseKernel",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.gaussian_process.kernels.RationalQuadratic",
    "sklearn.gaussian_process.kernels.Sum",
    "sklearn.gaussian_process.kernels.WhiteKernel",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils.validation.check_array",
)

Answers = NDArray[np.float64]


class PortableModel:
    """A bundle that answers. Its rows have named columns: a pandas frame, a mapping of columns, or a list of rows."""

    def __init__(self, folder: Path) -> None:
        self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
        files = {one["name"]: _checked(folder, one) for one in self.manifest["files"]}
        signature = self.manifest["signature"]
        self.task: str = signature["task"]
        self.classes: list[Any] = signature["classes"]
        self.names: list[str] = [field["name"] for field in signature["inputs"]]
        self._fields: list[dict[str, Any]] = signature["inputs"]
        encoder = self.manifest["encoder"]
        self._columns: list[dict[str, Any]] | None = encoder and encoder["columns"]
        self._ask = _opened(self.manifest, files[self.manifest["model"]])
        self._self_test(json.loads(files["self_test.json"]))

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Answers:
        """What Kept answers: the probability of the second class `(rows,)`, one of each class `(rows, classes)`, or a value.

        `ValueError` when a column is missing, or a value is one that the model does not take.
        """
        del params
        columns = self._named(data)
        if self._columns is None:
            answers = self._ask(self._table(columns))
        else:
            matrix = np.column_stack([_encoded(columns[one["name"]], one) for one in self._columns])
            self._check_limits(matrix)
            answers = self._ask(matrix)
        return answers if self.task == "multiclass" else answers.ravel()

    def _named(self, data: Any) -> dict[str, Any]:
        if isinstance(data, np.ndarray):
            if data.ndim != 2 or data.shape[1] != len(self.names):
                raise ValueError(f"expected {len(self.names)} columns ({', '.join(self.names)}), found {data.shape}")
            return dict(zip(self.names, data.T, strict=True))
        if isinstance(data, Sequence) and not isinstance(data, str | bytes):
            data = {name: [row[name] for row in data] for name in self.names if all(name in row for row in data)}
        known = set(data.columns if hasattr(data, "columns") else data)
        missing = [name for name in self.names if name not in known]
        if missing:
            raise ValueError(f"the column {missing[0]!r} is missing; the model takes {', '.join(self.names)}")
        return {name: data[name] for name in self.names}

    def _table(self, columns: dict[str, Any]) -> Any:
        # The estimator chooses columns by name, and was trained with None for text that is missing.
        pandas = _installed("pandas", "pandas")
        kinds = self.manifest["dtypes"]
        found = {one["name"]: _series(columns[one["name"]], one, kinds) for one in self._fields}
        # Left alone, pandas makes text of objects, and NaN of None.
        return pandas.DataFrame({name: pandas.Series(array, dtype=array.dtype) for name, array in found.items()})

    def _check_limits(self, matrix: NDArray[np.float64]) -> None:
        limits = self.manifest["limits"]
        if limits is None:
            return
        for place, name in enumerate(self.names):
            column = matrix[:, place]
            if not limits["missing"][place] and np.isnan(column).any():
                raise ValueError(f"the column {name!r} misses values, and the model takes only complete rows")
            largest = limits["largest"][place]
            if largest is not None and (np.abs(column) > largest).any():
                raise ValueError(f"the column {name!r} holds values beyond {largest:g}, which the model does not take")

    def _self_test(self, test: dict[str, Any]) -> None:
        if not test["rows"]:
            return
        expected = np.array([[np.nan if one is None else one for one in row] for row in test["answers"]])
        found = self.predict(test["rows"]).reshape(expected.shape)
        known = ~np.isnan(expected)
        difference = np.abs(found[known] - expected[known]) / np.maximum(1.0, np.abs(expected[known]))
        if not (difference <= test["tolerance"]).all():
            raise ValueError(
                f"the model answers here by up to {difference.max():g} otherwise than where it was packaged: install "
                "the packages that its requirements.txt names"
            )


def _load_pyfunc(path: str) -> PortableModel:
    """The bundle in a folder; MLflow calls it so."""
    return PortableModel(Path(path))


def _checked(folder: Path, file: dict[str, Any]) -> bytes:
    data: bytes = (folder / file["name"]).read_bytes()
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != file["digest"]:
        raise ValueError(f"{file['name']} is not the file that was packaged: fetch the model again")
    return data


def _opened(manifest: dict[str, Any], data: bytes) -> Callable[[Any], Answers]:
    """A function from the matrix or the table to answers."""
    if manifest["runtime"] == "onnx":
        runtime = _installed("onnxruntime", "onnxruntime>=1.19")
        session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
        return lambda matrix: session.run(["answers"], {"features": np.ascontiguousarray(matrix)})[0]
    if manifest["runtime"] != "skops":
        raise ValueError("this bundle holds a pickle, which can run any code when it is loaded")
    estimator = _installed("skops.io", "skops").loads(data, trusted=list(TRUSTED_TYPES))
    task = manifest["signature"]["task"]
    if task == "regression":
        return lambda rows: np.asarray(estimator.predict(rows), dtype=np.float64)
    known = estimator.classes_.tolist()
    order = [known.index(one) for one in manifest.get("own_classes") or manifest["signature"]["classes"]]
    place = order[1] if task == "binary" else order
    return lambda rows: np.ascontiguousarray(estimator.predict_proba(rows)[:, place], dtype=np.float64)


def _installed(module: str, package: str) -> Any:
    """A library that this model needs; says what to install where it is not there, or does not load."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"this model needs {module.partition('.')[0]}, which cannot be imported here ({error}). Install it with "
            f"pip install '{package}', or all that the model needs with pip install -r requirements.txt of its folder"
        ) from error


def _encoded(values: Any, column: dict[str, Any]) -> Answers:
    """A column of the matrix: numbers as they are, categories as their places; NaN for what is missing.

    What is unknown is NaN, too, or infinity where the bundle keeps it apart.
    """
    if column["kind"] != "category":
        return _numbers(values, column)
    codes = {category: float(code) for code, category in enumerate(column["categories"])}
    text = not column["categories"] or isinstance(column["categories"][0], str)
    unseen = math.inf if column.get("unseen_apart") else math.nan
    found = np.full(len(values), math.nan)
    for row, value in enumerate(_objects(values)):
        if not _is_missing(value):
            if isinstance(value, str) != text and codes:
                raise _unfit(column, value)
            found[row] = codes.get(value, unseen)
    return found


def _numbers(values: Any, column: dict[str, Any]) -> Answers:
    array = np.asarray(values)
    wanted = "b" if column["kind"] == "boolean" else "fiu"
    if array.dtype.kind in wanted:
        return array.astype(np.float64)
    found = np.full(len(array), math.nan)
    for row, value in enumerate(_objects(values)):
        if not _is_missing(value):
            if not _is_number(value, truth=wanted == "b"):
                raise _unfit(column, value)
            found[row] = float(value)
    return found


def _is_number(value: Any, *, truth: bool) -> bool:
    if isinstance(value, bool | np.bool_):
        return truth
    # A column of truths of which some are missing comes as numbers.
    return isinstance(value, int | float | np.number) and (not truth or value in {0, 1})


def _series(values: Any, field: dict[str, Any], kinds: Mapping[str, str]) -> NDArray[Any]:
    """A column of the table, of the type that it had in training as far as nothing is missing."""
    kind = kinds.get(field["name"])
    if field["kind"] in {"number", "integer", "boolean"}:
        numbers = _numbers(values, field)
        if field["kind"] == "number":
            return numbers.astype(np.float32) if kind == "Float32" else numbers
        if not np.isnan(numbers).any():
            return numbers.astype(np.bool_ if field["kind"] == "boolean" else np.int64)
        if field["kind"] == "integer":
            return numbers
        return np.array([None if math.isnan(one) else bool(one) for one in numbers], dtype=object)
    known = set(field["categories"]) if kind == "Enum" else None
    found = [None if _is_missing(one) or (known is not None and one not in known) else one for one in _objects(values)]
    return np.array(found, dtype=object)


def _objects(values: Any) -> list[Any]:
    return list(values.tolist() if hasattr(values, "tolist") else values)


def _is_missing(value: Any) -> bool:
    # pandas' own word for missing is a type of its own: it is not equal to itself, and has no truth.
    return (
        value is None
        or type(value).__name__ in {"NAType", "NaTType"}
        or (isinstance(value, float) and math.isnan(value))
    )


def _unfit(column: dict[str, Any], value: Any) -> ValueError:
    said = f"the text {value!r}" if isinstance(value, str) else repr(value)
    return ValueError(f"the column {column['name']!r} holds {said}, which is no {column['kind']}")
