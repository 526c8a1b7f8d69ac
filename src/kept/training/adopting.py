"""Pipeline steps that replace tuning and fitting when a model comes from outside: fetched, never run, packaged, checked."""

from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import polars as pl
import sklearn

from kept.core.digests import digest_file
from kept.core.errors import Damaged, Invalid, NotFound
from kept.packaging.exporters.lightgbm_booster import LightGbmModel
from kept.packaging.exporters.registry import NotExportable, export
from kept.packaging.exporters.xgboost_booster import XgBoostModel
from kept.packaging.frames import fit_encoder, signature_of
from kept.packaging.mlmodel import LARGEST_MLMODEL, MLMODEL, ModelFolder, read_mlmodel
from kept.packaging.signature import Label, Scored, ScoreForm
from kept.packaging.sklearn_model import load_skops
from kept.packaging.tensor_build import graph_signature, package_tensors
from kept.packaging.tensor_frames import sample_of, with_numbers
from kept.pipelines.context import StepContext
from kept.plan.loading import load_project
from kept.tracking.artifacts import ShowArtifact, files_of, show_artifact
from kept.tracking.location import ROOT
from kept.tracking.runs import ShowRun, show_run
from kept.training.class_names import own_classes
from kept.training.estimators import input_of
from kept.training.facts import Columns, Packaged
from kept.training.fitting import baseline as simple_baseline
from kept.training.fitting import keep_bundle, keep_made, rows_of
from kept.training.foreign_estimators import complete, names_of, refuse_categories
from kept.training.preparing import columns as declared_columns
from kept.training.splits import TRAIN, VALIDATION
from kept.training.tuning import Tuned

_LARGEST_MODEL = 4 * 1024**3
_MOST_FILES = 1_000
_MOST_SAMPLE = 256
_NATIVE = "Log the bare booster with mlflow.lightgbm.log_model(model.booster_, ...), or a model with mlflow.sklearn"
_RELOG = "Log it again with mlflow.sklearn.log_model(..., signature=infer_signature(frame, answers))"


class Adopted(msgspec.Struct, frozen=True, kw_only=True):
    """A model from outside, as it was fetched."""

    folder: ModelFolder
    model: bytes
    """The model's file."""
    inputs: tuple[str, ...]
    """The columns that it takes, in order."""
    files: dict[str, str]
    """Digest of each file of its folder."""


def fetch(context: StepContext, files: str) -> Adopted:
    """Reads the model folder at an address, with each file held against the digest that was noted when it was uploaded."""
    root = _path_of(context, files)
    digests = _digests(context, root)
    if MLMODEL not in digests:
        fix = "Register the folder that log_model made"
        raise NotFound(f"there is no file {MLMODEL}", where=files, fix=fix)
    folder = read_mlmodel(_read(context, root, MLMODEL, LARGEST_MLMODEL), where=f"{files}/{MLMODEL}")
    if folder.file not in digests:
        raise NotFound(f"there is no file {folder.file}", where=files, fix="Log the model again")
    model = _read(context, root, folder.file, _LARGEST_MODEL)
    if folder.form == "onnx":
        inputs = graph_signature(model, where=folder.file).names
    else:
        inputs = _inputs(_loaded(folder, model), folder, files)
    context.log(f"{folder.flavour} model of {len(inputs)} columns, {len(model) / 1e6:.2f} MB, {len(digests)} files")
    return Adopted(folder=folder, model=model, inputs=inputs, files=digests)


def logged_parameters(context: StepContext, logged_by: str | None) -> Tuned:
    """The parameters that the run that made the model has logged."""
    if logged_by is None:
        return Tuned(parameters={}, loss=None, trials=())
    try:
        params = show_run(context.workspace, context.actor, ShowRun(run=logged_by)).params
    except NotFound:
        params = {}
    return Tuned(parameters=dict(params), loss=None, trials=())


def columns(source: str, join: pl.DataFrame, fit: Adopted) -> Columns:
    """The columns that the model takes, in its order; each has to be a feature of the project."""
    declared = declared_columns(source, join)
    where = f"project {load_project(Path(source)).name}"
    for name in fit.inputs:
        if name not in declared.features:
            fix = f"Its features are {', '.join(declared.features)}; name further ones in @project.dataset(features=[...])"
            raise Invalid(f"the model takes {name!r}, which is no feature of the project", where=where, fix=fix)
    return msgspec.structs.replace(
        declared, features=fit.inputs, categorical=tuple(name for name in declared.categorical if name in fit.inputs)
    )


def baseline(context: StepContext, join: pl.DataFrame, split: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    """What the simple baseline says of the test rows; of a tensor it knows norm, mean and deviation."""
    rows, names = with_numbers(join, columns.features)
    return simple_baseline(context, rows, split, msgspec.structs.replace(columns, features=names))


def package(
    context: StepContext,
    fit: Adopted,
    join: pl.DataFrame,
    split: pl.DataFrame,
    columns: Columns,
    class_names: dict[str, str],
    scores: str,
    form: ScoreForm,
) -> Packaged:
    """The bundle of the model: from numbers exported exactly where that is possible, else by scikit-learn itself.

    `class_names` gives the project's class for each that the model knows by another name. An ONNX graph is packaged as it is;
    `scores` and `form` say which of its outputs the task's scores are, and how.
    """
    rows = rows_of(join, split, TRAIN, VALIDATION)
    if fit.folder.form == "onnx":
        return _package_graph(context, fit, rows, columns, scores, form)
    encoder = fit_encoder(rows, columns.features)
    signature = signature_of(rows, encoder, task=columns.task, classes=columns.classes)
    estimator = _loaded(fit.folder, fit.model, len(columns.classes))
    known_as = own_classes(estimator, columns.classes, class_names)
    keep = partial(keep_bundle, context, estimator, rows=rows, own_classes=known_as)
    if isinstance(estimator, LightGbmModel | XgBoostModel):
        _check_booster(estimator, columns)
        return keep(encoder, signature)
    refuse_categories(estimator)
    named = bool(names_of(estimator))
    try:
        if input_of(estimator) == "matrix" and not columns.categorical:
            packaged = keep(encoder, signature)
            if packaged.exported or not named:
                return packaged
        elif not named:
            fix = "Train it on a data frame, with a ColumnTransformer that chooses columns by name"
            raise Invalid("the model takes numbers by place, and the project's features hold text", fix=fix)
        return keep(None, complete(signature))
    except (ImportError, ValueError, TypeError, KeyError, AttributeError) as error:
        what = f"the model does not answer rows of the project: {type(error).__name__}: {error}"
        raise Invalid(what, where="package", fix="Train it on the project's own columns and types") from error


def _package_graph(
    context: StepContext, fit: Adopted, rows: pl.DataFrame, columns: Columns, scores: str, form: ScoreForm
) -> Packaged:
    """The bundle of an ONNX graph, which has to take the project's columns as they are."""
    signature = graph_signature(
        fit.model,
        where=fit.folder.file,
        task=columns.task,
        classes=columns.classes,
        scored=Scored(output=scores, form="value" if columns.task == "regression" else form) if scores else None,
    )
    sample = sample_of(rows, signature.names, _MOST_SAMPLE)
    origin = f"onnx of {fit.folder.made_with}" if fit.folder.made_with else "onnx"
    return keep_made(
        context, lambda folder: package_tensors(fit.model, signature, folder, sample=sample, origin=origin)
    )


def _check_booster(model: LightGbmModel | XgBoostModel, columns: Columns) -> None:
    """Refuses a booster that is not exported exactly: nothing else of it would be served."""
    if columns.categorical:
        what = f"it takes {columns.categorical[0]!r} as a number, and the project has it as text"
        raise Invalid(
            what, where=type(model).__name__, fix="Give the project a column of numbers, as the model was trained on"
        )
    exported = export(model)
    if isinstance(exported, NotExportable):
        raise Invalid(exported.reason, where=type(model).__name__, fix=_NATIVE)


def _loaded(folder: ModelFolder, data: bytes, classes: int = 0) -> Any:
    """The model behind the face of an estimator; nothing that could run code is read.

    `classes` is how many the project has, 0 for none: a booster knows its own by number only.
    """
    if folder.flavour == "sklearn":
        return load_skops(data)
    if folder.form != "skops":
        numbers = tuple(range(classes))
        if folder.form == "lightgbm text":
            return LightGbmModel(data.decode(errors="replace"), names=folder.inputs, classes=numbers)
        best = folder.model_class not in {"", "xgboost.core.Booster"}
        return XgBoostModel(data, names=folder.inputs, classes=numbers, best=best)
    what = f"there is no exact exporter for this model of {folder.flavour} ({folder.form})"
    raise Invalid(what, where=folder.file, fix=_NATIVE)


def note_of(folder: ModelFolder, classes: tuple[Label, ...]) -> str | None:
    """What is to be said of how the model was read: by another release of scikit-learn than wrote it, or its classes by place."""
    if folder.form == "onnx" and classes:
        return (
            f"The graph knows its classes by place only: they were taken in the order {', '.join(map(str, classes))}."
        )
    if (
        folder.flavour == "sklearn"
        and folder.made_with
        and folder.made_with.split(".")[:2] != sklearn.__version__.split(".")[:2]
    ):
        return f"scikit-learn {folder.made_with} wrote it, and {sklearn.__version__} read it: the two may answer otherwise."
    return None


def _path_of(context: StepContext, address: str) -> str:
    """Where the files at an address stand below those of the workspace."""
    if address.startswith("runs:/"):
        run, _, path = address.removeprefix("runs:/").strip("/").partition("/")
        location = show_run(context.workspace, context.actor, ShowRun(run=run)).run.artifact_location
        address = f"{location.rstrip('/')}/{path}"
    parts = urlsplit(address)
    if f"{parts.scheme}:/" != ROOT:
        fix = "Log the model to this server, so that its files stand here"
        raise Invalid(f"its files stand at {address}, where Kept does not look", fix=fix)
    return unquote(parts.path).strip("/")


def _digests(context: StepContext, root: str) -> dict[str, str]:
    """The digest of every file below a folder, by its path within."""
    files, found, waiting = files_of(context.workspace), dict[str, str](), [root]
    while waiting:
        for entry in files.list(waiting.pop()):
            if entry.folder:
                waiting.append(entry.path)
                continue
            digest = digest_file(files.locate(entry.path))
            noted = show_artifact(context.workspace, context.actor, ShowArtifact(path=entry.path))
            if noted is not None and noted.digest != digest:
                raise Damaged("it is not the file that was uploaded", where=entry.path, fix="Log the model again")
            found[str(PurePosixPath(entry.path).relative_to(root))] = digest
            if len(found) > _MOST_FILES:
                raise Invalid(f"there are more than {_MOST_FILES:,} files", where=root, fix="Register a model's folder")
    return found


def _read(context: StepContext, root: str, name: str, most: int) -> bytes:
    path = files_of(context.workspace).locate(f"{root}/{name}")
    if path.stat().st_size > most:
        raise Invalid(f"it is larger than {most:,} bytes", where=name)
    return path.read_bytes()


def _inputs(estimator: Any, folder: ModelFolder, where: str) -> tuple[str, ...]:
    """The columns in the order in which the estimator takes them: its own word counts before the signature's."""
    known = names_of(estimator)
    found, count = known or folder.inputs, getattr(estimator, "n_features_in_", None)
    if not found:
        raise Invalid("neither the model nor its signature names the columns that it takes", where=where, fix=_RELOG)
    if count is not None and count != len(found):
        what = f"its signature names {len(found)} columns, and the model takes {count}"
        raise Invalid(what, where=where, fix=_RELOG)
    return found
