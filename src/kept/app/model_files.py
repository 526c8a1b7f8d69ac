"""Bundles from model files that come from outside; nothing in the files is run."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import polars as pl

from kept.app.logged_folders import is_logged, read_logged
from kept.core.errors import Invalid, NotFound
from kept.data.reading import read_table
from kept.packaging.build import package
from kept.packaging.bundle import read_bundle
from kept.packaging.frames import fit_encoder, signature_of
from kept.packaging.manifest import MANIFEST
from kept.packaging.signature import Label, Scored, Task
from kept.packaging.sklearn_model import load_skops
from kept.packaging.tensor_build import TENSOR_TOLERANCE, graph_signature, package_tensors
from kept.packaging.tensor_sample import read_sample
from kept.training.estimators import input_of
from kept.training.foreign_estimators import complete, names_of, refuse_categories


class Answering(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of the answers of a graph, which tells its inputs and outputs itself."""

    task: Task = "tensors"
    classes: tuple[Label, ...] = ()
    """The labels, in the order of the scores."""
    scored: Scored | None = None
    """Where the scores come from; with one output it may be left out."""
    tolerance: float = TENSOR_TOLERANCE
    """How far the answers may be from those that the sample declares."""


def bundle_of(path: Path, sample: Path | None, folder: Path, answering: Answering | None = None) -> Path:
    """The folder of a bundle: the one given, or one that is made of a `.skops` file and sample rows, of an `.onnx` file, or
    of a folder that MLflow wrote, which may bring its sample along.

    Of the sample's columns a `.skops` model takes those that it was trained on by name, else all, in the order of training;
    then categories are encoded by their order, so a model that was trained on numbers alone needs a sample of numbers alone. An `.onnx` file says what it takes; its
    sample, a `.npz` file, may hold what it should answer, too.
    """
    if path.is_dir() and (path / MANIFEST).is_file():
        read_bundle(path)
        return path
    if is_logged(path):
        return _of_logged(path, sample, folder, answering)
    if not path.is_file():
        fix = "Name a bundle's folder, a .skops file, an .onnx file or a model folder of MLflow"
        raise NotFound("there is no such model", where=str(path), fix=fix)
    if path.suffix == ".onnx":
        return _of_graph(path, sample, folder, answering or Answering())
    if path.suffix in {".pkl", ".pickle", ".joblib"}:
        fix = "Save the fitted estimator where it was trained, with skops.io.dump(estimator, 'model.skops')"
        raise Invalid(f"a {path.suffix} file may run any code when it is loaded", where=str(path), fix=fix)
    if path.suffix in {".pt", ".pth", ".ckpt", ".bin"}:
        fix = (
            "Export the module with kept.packaging.torch_export.export_module(module, example), which needs kept[torch]"
        )
        raise Invalid(f"a {path.suffix} file may run any code when it is loaded", where=str(path), fix=fix)
    if path.suffix != ".skops":
        fix = "Save the fitted estimator with skops.io.dump(estimator, 'model.skops')"
        raise Invalid(f"a {path.suffix or 'file without ending'} cannot be packaged", where=str(path), fix=fix)
    if sample is None:
        fix = "Give some rows it takes: --sample rows.parquet"
        raise Invalid("a .skops file does not say what rows it takes", where=str(path), fix=fix)
    return bundle_of_skops(path, read_table(sample), folder)


def _of_logged(path: Path, sample: Path | None, folder: Path, answering: Answering | None) -> Path:
    logged = read_logged(path)
    if logged.model.suffix == ".onnx":
        return _of_graph(logged.model, sample, folder, answering or Answering())
    rows = logged.example if sample is None else read_table(sample)
    if rows is None:
        fix = "Give some rows it takes: --sample rows.parquet; or log it with input_example=a data frame"
        raise Invalid("it was logged without an example of the rows it takes", where=str(path), fix=fix)
    return bundle_of_skops(logged.model, _columns(rows, logged.inputs, path), folder)


def bundle_of_skops(path: Path, rows: pl.DataFrame, folder: Path) -> Path:
    """The folder of a bundle that is made of a `.skops` file and sample rows, as `bundle_of` says."""
    estimator = load_skops(path.read_bytes())
    refuse_categories(estimator)
    rows = _columns(rows, names_of(estimator), path)
    encoder = fit_encoder(rows)
    classes = getattr(estimator, "classes_", None)
    known = () if classes is None else tuple(classes.tolist())
    task: Task = "regression" if classes is None else "binary" if len(known) == 2 else "multiclass"
    signature = signature_of(rows, encoder, task=task, classes=known)
    # What was trained on a data frame with text, or chooses columns by name, has an encoder of its own.
    if input_of(estimator) == "table" or (names_of(estimator) and encoder.categorical):
        package(estimator, None, complete(signature), rows, folder)
    else:
        package(estimator, encoder, signature, rows, folder)
    return folder


def _columns(rows: pl.DataFrame, names: Sequence[str], path: Path) -> pl.DataFrame:
    """The columns that a model takes, in its order; all where it does not name them."""
    absent = [name for name in names if name not in rows.columns]
    if absent:
        fix = f"It has {', '.join(rows.columns)}"
        raise Invalid(f"the sample has no column {absent[0]!r}, which the model takes", where=str(path), fix=fix)
    return rows.select(names) if names else rows


def _of_graph(path: Path, sample: Path | None, folder: Path, answering: Answering) -> Path:
    data = path.read_bytes()
    signature = graph_signature(
        data, where=path.name, task=answering.task, classes=answering.classes, scored=answering.scored
    )
    rows = None if sample is None else read_sample(sample, signature)
    package_tensors(
        data,
        signature,
        folder,
        sample=None if rows is None else rows.inputs,
        expected=None if rows is None else rows.expected,
        tolerance=answering.tolerance,
    )
    return folder
