"""Models that scikit-learn itself runs: skops files, and pickles of trusted bundles. Loaded by name, when a bundle needs it."""

import functools
import pickle
import warnings
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import polars as pl
import skops.io
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from skops.io.exceptions import UnsupportedTypeException, UntrustedTypesFoundException
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from kept.core.errors import Damaged, Forbidden, Invalid
from kept.packaging.answers import answering
from kept.packaging.manifest import Manifest
from kept.packaging.portable import TRUSTED_TYPES
from kept.packaging.sound_arrays import check_arrays
from kept.packaging.sound_trees import check_trees

# A zip can say that it unpacks to anything; a model of this size would not be served by one process anyway.
_LARGEST_UNPACKED = 8 * 1024**3
# RuntimeError and NotImplementedError are how a zip says that it is encrypted, or packed in a way that is not known.
_UNREADABLE = (
    BadZipFile, zlib.error, EOFError, KeyError, IndexError, ValueError, TypeError, AttributeError, ImportError, RuntimeError, OSError,
)  # fmt: skip


class SklearnModel:
    """An estimator behind the same face as an ONNX model."""

    def __init__(self, manifest: Manifest, estimator: Any) -> None:
        _one_thread(estimator)
        self._threads = ThreadpoolController().select(user_api="openmp")
        if type(estimator) is Pipeline:
            estimator = _Steps(estimator)
        self._answer = answering(estimator, manifest.signature, manifest.own_classes)
        self._schema = table_schema(manifest) if manifest.input == "table" else None

    def run(self, features: NDArray[np.float64] | dict[str, list[Any]]) -> NDArray[np.float64]:
        """Answers for a matrix, or for columns by name when the estimator takes a table. `Invalid` when it refuses them."""
        if self._schema is not None:
            features = as_table(features, self._schema)  # type: ignore[arg-type, assignment]  # the manifest decides which
        try:
            # scikit-learn would start a thread per core for one row, and wait for them.
            with self._threads.limit(limits=1), np.errstate(all="ignore"):
                return self._answer(features)
        except (ValueError, TypeError) as error:
            raise Invalid(
                f"the model refuses this: {error}", where="features", fix="Send what it was trained with"
            ) from error


class _Steps:
    """The steps of a fitted pipeline, one after the other, as its own methods take them.

    Those look each time whether it is fitted, which takes as long as one of the steps of a light model.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        *first, (_, last) = pipeline.steps
        self._transforms = [step.transform for _, step in first if step is not None and step != "passthrough"]
        # What the pipeline lacks is said of this, too.
        for name in ("predict", "predict_proba"):
            if hasattr(pipeline, name):
                setattr(self, name, functools.partial(self._through, getattr(last, name)))
        if hasattr(pipeline, "classes_"):
            self.classes_ = pipeline.classes_

    def _through(self, answer: Callable[[Any], Any], features: Any) -> Any:
        for transform in self._transforms:
            features = transform(features)
        return answer(features)


def load_model(manifest: Manifest, data: bytes, *, may_run_code: bool) -> SklearnModel:
    """The model of a bundle.

    Raises:
        Forbidden: it holds a type that is not known to be safe, or is a pickle and may not run code.
        Damaged: it is not a model.
    """
    if manifest.runtime == "pickle-trusted":
        if not may_run_code:
            raise Forbidden(
                "a pickle can run any code when it is loaded", where=manifest.model, fix="Trust its bundle's digest"
            )
        return SklearnModel(manifest, load_pickle(data))
    return SklearnModel(manifest, load_skops(data))


def load_skops(data: bytes) -> Any:
    """The estimator in a skops file, if it holds nothing but data and known types, and trees and places that are there."""
    try:
        with ZipFile(BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _LARGEST_UNPACKED:
                raise Damaged("the file unpacks to more than 8 GiB", where="skops file")
        with warnings.catch_warnings():
            # Another release of scikit-learn is caught by the bundle's self-test, which looks at answers.
            warnings.simplefilter("ignore")
            estimator = skops.io.loads(data, trusted=list(TRUSTED_TYPES))
        check_trees(estimator)
        check_arrays(estimator)
    except UntrustedTypesFoundException as error:
        what = f"the file holds types that are not known to be safe: {error}"
        fix = "Build it from scikit-learn's own parts, with functions of NumPy alone"
        raise Forbidden(what, where="skops file", fix=fix) from error
    except _UNREADABLE as error:
        raise Damaged(
            f"this is not a skops file: {error}", where="skops file", fix="Package the model again"
        ) from error
    return estimator


def save_skops(estimator: Any) -> bytes:
    """A fitted estimator as a skops file. `Invalid` when it holds something that could not be loaded again safely."""
    fix = "Package it with allow_pickle=True and have its digest trusted, or build it from scikit-learn's own parts"
    try:
        data: bytes = skops.io.dumps(estimator)
        unknown = set(skops.io.get_untrusted_types(data=data)) - set(TRUSTED_TYPES)
    except (UnsupportedTypeException, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise Invalid(
            f"it cannot be written as a safe file: {error}", where=type(estimator).__name__, fix=fix
        ) from error
    if unknown:
        raise Invalid(
            f"it holds {', '.join(sorted(unknown))}, not known to be safe", where=type(estimator).__name__, fix=fix
        )
    return data


def load_pickle(data: bytes) -> Any:
    """The object in a pickle. This runs whatever code the pickle holds: the caller has decided that it may."""
    try:
        return pickle.loads(data)  # noqa: S301 - the bundle's digest is trusted
    except Exception as error:
        # Loading runs foreign code, which can raise anything.
        raise Damaged(f"the pickle cannot be loaded: {type(error).__name__}: {error}", where="pickle") from error


def save_pickle(estimator: Any) -> bytes:
    """A fitted estimator as a pickle."""
    try:
        return pickle.dumps(estimator, protocol=5)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
        raise Invalid(
            f"it cannot be pickled: {error}", where=type(estimator).__name__, fix="Define its parts in a module"
        ) from error


def table_schema(manifest: Manifest) -> dict[str, pl.DataType]:
    """The polars types of the table that the estimator takes."""
    schema: dict[str, pl.DataType] = {}
    for field in manifest.signature.inputs:
        name = manifest.dtypes.get(field.name, "String")
        if name == "Enum":
            schema[field.name] = pl.Enum([str(category) for category in field.categories])
        elif name in TABLE_TYPES:
            schema[field.name] = TABLE_TYPES[name]
        else:
            raise Damaged(f"the column {field.name!r} has the unknown type {name!r}", where="manifest")
    return schema


TABLE_TYPES: dict[str, Any] = {
    kind.__name__: kind()
    for kind in (
        pl.Float64,
        pl.Float32,
        pl.Int64,
        pl.Int32,
        pl.Int16,
        pl.Int8,
        pl.UInt64,
        pl.UInt32,
        pl.UInt16,
        pl.UInt8,
        pl.Boolean,
        pl.String,
        pl.Categorical,
    )
}


def as_table(columns: dict[str, list[Any]], schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """The data frame that an estimator was trained on, from values that fit the signature.

    A category that an Enum does not know becomes null.
    """
    series = []
    for name, dtype in schema.items():
        values = columns[name]
        try:
            if dtype.is_numeric():
                column = pl.Series(name, values, dtype=pl.Float64 if dtype.is_float() else pl.Int64, strict=False)
            else:
                column = pl.Series(name, values, dtype=pl.Boolean if dtype == pl.Boolean else pl.String)
            series.append(column.cast(dtype, strict=not isinstance(dtype, pl.Enum)))
        except (pl.exceptions.PolarsError, OverflowError, TypeError) as error:
            fix = "Send what the model was trained with"
            raise Invalid(f"the values do not fit {dtype}", where=f"column {name!r}", fix=fix) from error
    return pl.DataFrame(series)


def _one_thread(estimator: Any) -> None:
    """Serving parallelises over processes; an estimator that starts threads for one row only waits for them."""
    if hasattr(estimator, "get_params"):
        jobs = {name: 1 for name in estimator.get_params(deep=True) if name == "n_jobs" or name.endswith("__n_jobs")}
        if jobs:
            estimator.set_params(**jobs)
