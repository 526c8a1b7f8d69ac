"""Runs a packaged model. Light: NumPy and ONNX Runtime, unless the bundle needs scikit-learn."""

import importlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Damaged, Forbidden, Invalid
from kept.packaging.bundle import Bundle, read_bundle
from kept.packaging.manifest import Limits, Manifest
from kept.packaging.onnx_model import OnnxModel
from kept.packaging.onnx_tensors import OnnxTensors
from kept.packaging.rows import Matrix, MatrixEncoder, Row, RowReader
from kept.packaging.self_test import SELF_TEST, SelfTest
from kept.packaging.tensor_runtime import TENSOR_TEST, TensorRuntime

Answers = NDArray[np.float64]

# scikit-learn, skops and polars are wanted by some bundles only: a process that serves ONNX never loads them.
_WITH_SCIKIT_LEARN = "kept.packaging.sklearn_model"


class Model(Protocol):
    """A loaded model file."""

    def run(self, features: Any) -> Answers:
        """Answers for a matrix, or for a table where the bundle takes one."""
        ...


class Runtime:
    """A model that answers. It can be used from many threads.

    Answers are float64. binary: (rows,) the probability of `classes[1]`; multiclass: (rows, classes);
    regression: (rows,).
    """

    def __init__(self, manifest: Manifest, digest: str, model: Model) -> None:
        self.manifest = manifest
        self.digest = digest
        self._model = model
        self._encoder = None if manifest.encoder is None else MatrixEncoder(manifest.signature, manifest.encoder)
        self._coded = [] if manifest.encoder is None else manifest.encoder.categorical
        self._reader = RowReader(manifest.signature)
        self._flat = manifest.signature.task != "multiclass"
        self._limits = (
            _Bounds(manifest.limits, manifest.signature.names, self._coded) if manifest.limits is not None else None
        )

    def predict(self, matrix: Matrix) -> Answers:
        """Answers for a float64 matrix of shape (rows, columns) in the encoder's form.

        Raises:
            Invalid: the shape is wrong, or a value is one that the estimator itself refuses; or the bundle takes a table.
        """
        if self._encoder is None:
            raise Invalid("this model takes named columns, not a matrix", where="features", fix="Send rows")
        features = np.ascontiguousarray(matrix, dtype=np.float64)
        width = len(self.manifest.signature.inputs)
        if features.ndim != 2 or features.shape[1] != width:
            raise Invalid(f"expected the shape (rows, {width}), found {features.shape}", where="features")
        if self._coded:
            codes = features[:, self._coded]
            if not (np.isnan(codes) | (codes == np.floor(codes))).all():
                raise Invalid("a category column holds something else than codes", where="features", fix="Send rows")
        return self._answer(features)

    def predict_rows(self, rows: Sequence[Row]) -> Answers:
        """Answers for rows by field name, checked against the signature; further fields are not read."""
        if self._encoder is not None:
            return self._answer(self._encoder.encode(rows))
        values = self._reader.read(rows)
        names = self.manifest.signature.names
        return self._run_table({name: [row[place] for row in values] for place, name in enumerate(names)})

    def predict_columns(self, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> Answers:
        """Answers for columns of equal length by field name."""
        if self._encoder is not None:
            return self._answer(self._encoder.encode_columns(columns))
        found = self._reader.read_columns(columns)
        return self._run_table(
            {name: list(column) for name, column in zip(self.manifest.signature.names, found, strict=True)}
        )

    def _answer(self, features: Matrix) -> Answers:
        if self._limits is not None:
            self._limits.check(features)
        answers = self._model.run(features)
        return answers.ravel() if self._flat else answers

    def _run_table(self, columns: dict[str, list[Any]]) -> Answers:
        answers = self._model.run(columns)
        return answers.ravel() if self._flat else answers


class _Bounds:
    """Refuses what the estimator refuses: the exported model would answer, and nobody checked that answer."""

    def __init__(self, limits: Limits, names: tuple[str, ...], coded: Collection[int]) -> None:
        self._names = names
        self._coded = frozenset(coded)
        self._missing = np.array(limits.missing)
        self._largest = np.array([np.inf if bound is None else bound for bound in limits.largest])
        self._needed = not (self._missing.all() and np.isinf(self._largest).all())

    def check(self, matrix: Matrix) -> None:
        if not self._needed or (np.abs(matrix) <= self._largest).all():
            return
        missing = np.isnan(matrix)
        if (missing & ~self._missing).any():
            row, place = np.argwhere(missing & ~self._missing)[0]
            raise Invalid(
                f"the field {self._names[place]!r} is missing or unknown, and the model takes only complete rows",
                where=f"row {row}",
                fix="Send a value, or train with an imputer before the estimator",
            )
        beyond = np.abs(matrix) > self._largest
        if beyond.any():
            row, place = np.argwhere(beyond)[0]
            if int(place) in self._coded:
                raise Invalid(
                    f"the field {self._names[place]!r} has a value that was not there in training, and the model refuses"
                    " such values",
                    where=f"row {row}",
                    fix="Send one of those that it knows, or train with handle_unknown='ignore'",
                )
            raise Invalid(
                f"the field {self._names[place]!r} is larger than the model can take",
                where=f"row {row}",
                fix=f"Send at most {self._largest[place]:g}",
            )


AnyRuntime = Runtime | TensorRuntime
"""What `load_runtime` gives: both answer rows and columns with scores."""


def load_runtime(folder: Path, *, digest: str | None = None, trusted: frozenset[str] = frozenset()) -> AnyRuntime:
    """Loads a bundle: every file checked against its digest, then the model checked against its own self-test.

    Args:
        folder: the bundle.
        digest: what its digest must be; None takes what is there.
        trusted: digests of bundles that may run code when they load (pickle).

    Raises:
        NotFound, Damaged: as `read_bundle` does; `Damaged` too when the model does not answer here what it answered where
            it was made.
        Forbidden: the model file could run code and its bundle is not trusted.
    """
    return runtime_of(read_bundle(folder, digest=digest), trusted=trusted, where=str(folder))


def runtime_of(bundle: Bundle, *, trusted: frozenset[str] = frozenset(), where: str) -> Runtime | TensorRuntime:
    """The model of a bundle that was read, checked against its self-test. Raises as `load_runtime` does."""
    if bundle.manifest.input == "tensors":
        return _open_tensors(bundle, where=where)
    runtime = Runtime(bundle.manifest, bundle.digest, _open(bundle, trusted))
    if SELF_TEST in bundle.contents:
        _self_test(runtime, bundle.contents[SELF_TEST], where=where)
    return runtime


def _open(bundle: Bundle, trusted: frozenset[str]) -> Model:
    manifest = bundle.manifest
    data = bundle.contents[manifest.model]
    if manifest.runtime == "onnx":
        return OnnxModel(data, width=len(manifest.signature.inputs))
    if manifest.runtime == "pickle-trusted" and bundle.digest not in trusted:
        raise Forbidden(
            "this model is a pickle, which can run any code when it is loaded",
            where=f"bundle {bundle.digest}",
            fix="Package the model in a safe form, or have somebody who knows its origin trust this digest",
        )
    module = importlib.import_module(_WITH_SCIKIT_LEARN)
    model: Model = module.load_model(manifest, data, may_run_code=bundle.digest in trusted)
    return model


def _open_tensors(bundle: Bundle, *, where: str) -> TensorRuntime:
    manifest = bundle.manifest
    model = OnnxTensors(bundle.contents[manifest.model], manifest.signature)
    runtime = TensorRuntime(manifest, bundle.digest, model)
    if TENSOR_TEST in bundle.contents:
        runtime.check(bundle.contents[TENSOR_TEST], where=where)
    return runtime


def _self_test(runtime: Runtime, data: bytes, *, where: str) -> None:
    try:
        test = msgspec.json.decode(data, type=SelfTest)
    except msgspec.MsgspecError as error:
        raise Damaged("the self-test cannot be read", where=where, fix="Package the model again") from error
    if not test.rows:
        return
    expected = np.array([[np.nan if value is None else value for value in row] for row in test.answers])
    found = runtime.predict_rows(test.rows).reshape(expected.shape)
    known = ~np.isnan(expected)
    difference = np.abs(found[known] - expected[known]) / np.maximum(1.0, np.abs(expected[known]))
    if not (difference <= test.tolerance).all():
        raise Damaged(
            f"the model answers here by up to {np.max(difference):g} otherwise than where it was packaged",
            where=where,
            fix="Install the package versions of its manifest, or package the model again here",
        )
