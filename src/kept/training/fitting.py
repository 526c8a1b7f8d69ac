"""The pipeline steps `tune`, `fit`, `baseline` and `package`.

Each step receives other steps' outputs by parameter name.
"""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from kept.core.errors import Invalid
from kept.measures.metrics import measure, metric
from kept.packaging.build import package as make_bundle
from kept.packaging.bundle import store_bundle
from kept.packaging.encoding import TableEncoder
from kept.packaging.fitted import boosting_library, load_fitted, save_fitted
from kept.packaging.frames import fit_encoder, signature_of
from kept.packaging.manifest import Manifest
from kept.packaging.signature import Label, Signature
from kept.pipelines.context import StepContext
from kept.plan.loading import load_project
from kept.plan.project import Project
from kept.plan.specs import ModelSpec, Task
from kept.tracking.runs import create_run, finish, log_metrics, log_params, start
from kept.training.averaging import mean_of
from kept.training.baselines import baseline_scores
from kept.training.estimators import fit_estimator, input_of, make_estimator, predict_scores
from kept.training.facts import Columns, Packaged
from kept.training.splits import TEST, TRAIN, VALIDATION
from kept.training.stretches import Tried, newest, sentence, try_stretches, weighted
from kept.training.targets import encode_labels, has_all, learn_from, need_classes, rows_with_all_classes
from kept.training.tuning import Trial, Tuned
from kept.training.tuning import tune as search

_LOSS: dict[Task, str] = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}


def tune(context: StepContext, source: str, join: pl.DataFrame, split: pl.DataFrame, columns: Columns) -> Tuned:
    """Searches the declared ranges, each trial a child run; then how far back to learn from, where stretches are declared."""
    project = load_project(Path(source))
    found = _search(context, project, join, split, columns)
    stretches = project.retraining.stretches
    if not stretches:
        return found
    train, validation = rows_of(join, split, TRAIN), rows_of(join, split, VALIDATION)
    if columns.event_time is None or validation.is_empty():
        fix = "Declare event_time, and a split with validation rows"
        raise Invalid("stretches cannot be compared", where=f"project {project.name}", fix=fix)
    encoder, truth = fit_encoder(train, columns.features), encode_labels(validation[columns.label], columns.classes)
    name, sign = _loss_of(project.the_model, columns)

    def loss(rows: pl.DataFrame) -> float:
        if not has_all(rows[columns.label], columns.classes):
            return float("nan")
        estimator = make_estimator(project.the_model, found.parameters, encoder, context.seed)
        labels = learn_from(rows.get_column(columns.label), columns.task)
        fit_estimator(estimator, rows, labels, encoder, where=f"model {project.the_model.name}")
        return sign * measure(name, truth, predict_scores(estimator, validation, encoder))

    tried = try_stretches(stretches, train, columns.event_time, loss)
    if project.retraining.average and tried:
        _check_mean(make_estimator(project.the_model, found.parameters, encoder, context.seed), columns)
        tried = weighted(tried)
    if tried:
        context.log(sentence(tried))
    return msgspec.structs.replace(found, tried=tried)


def _check_mean(estimator: Any, columns: Columns) -> None:
    plain = boosting_library(estimator) is None and input_of(estimator) == "matrix"
    if not plain or (columns.task != "regression" and not hasattr(estimator, "predict_proba")):
        fix = (
            "Declare stretches without average, or a model of scikit-learn's that takes numbers and gives probabilities"
        )
        raise Invalid(f"there is no mean of {type(estimator).__name__}s", where="project.retrain(average)", fix=fix)


def _search(context: StepContext, project: Project, join: pl.DataFrame, split: pl.DataFrame, columns: Columns) -> Tuned:
    model = project.the_model
    if not model.search:
        return Tuned(parameters={}, loss=None, trials=())
    train, validation = rows_of(join, split, TRAIN), rows_of(join, split, VALIDATION)
    if columns.event_time is None:
        train = train.sample(fraction=1.0, shuffle=True, seed=context.seed)
    encoder = fit_encoder(train, columns.features)
    need_classes(train.get_column(columns.label), columns.classes)
    fewest = rows_with_all_classes(train.get_column(columns.label), columns.classes)
    truth = encode_labels(validation.get_column(columns.label), columns.classes)
    name, sign = _loss_of(model, columns)
    ended: list[Trial] = []

    def loss(parameters: dict[str, Any], share: float) -> float:
        # The newest rows are the most like what comes; without a class the scores would be of other classes.
        rows = train.tail(max(fewest, round(train.height * share)))
        estimator = make_estimator(model, parameters, encoder, context.seed)
        labels = learn_from(rows.get_column(columns.label), columns.task)
        fit_estimator(estimator, rows, labels, encoder, where=f"model {model.name}")
        return sign * measure(name, truth, predict_scores(estimator, validation, encoder))

    def record(trial: Trial) -> None:
        ended.append(trial)
        _record_trial(context, project.name, name, [sign * loss for loss in trial.losses], trial)
        context.progress(len(ended), model.trials, f"trial {trial.number}: {name} {sign * trial.loss:.5f}")

    return search(model.search, loss, trials=model.trials, seed=context.seed, ended=record)


def _loss_of(model: ModelSpec, columns: Columns) -> tuple[str, float]:
    """The metric that is searched by, and 1 where lower is better, else -1."""
    name = model.tune_metric or _LOSS[columns.task]
    return name, -1.0 if metric(name).better == "higher" else 1.0


def fit(
    context: StepContext, source: str, join: pl.DataFrame, split: pl.DataFrame, columns: Columns, tune: Tuned
) -> bytes:
    """The estimator with the best parameters, fitted on training and validation rows, as a safe file."""
    project = load_project(Path(source))
    rows = rows_of(join, split, TRAIN, VALIDATION)
    need_classes(rows.get_column(columns.label), columns.classes)
    # Values are encoded as of all rows, as everything that reads them is told of one encoding.
    encoder = fit_encoder(rows, columns.features)

    def fitted(held: pl.DataFrame) -> tuple[Any, NDArray[Any]]:
        estimator = make_estimator(project.the_model, tune.parameters, encoder, context.seed)
        labels = learn_from(held.get_column(columns.label), columns.task)
        fit_estimator(estimator, held, labels, encoder, where=f"model {project.the_model.name}")
        return estimator, labels

    stretches = _with_all_classes(context, rows, columns, tune.tried)
    weights = [one.weight for one, _ in stretches]
    if not any(weights):
        return save_fitted(*fitted(stretches[0][1] if stretches else rows))
    models = [fitted(held) for _, held in stretches]
    return save_fitted(mean_of([one for one, _ in models], weights), models[0][1])


def _with_all_classes(
    context: StepContext, rows: pl.DataFrame, columns: Columns, tried: tuple[Tried, ...]
) -> list[tuple[Tried, pl.DataFrame]]:
    """The rows of each stretch, the best first. With the validation rows it ends later than it did: one that lacks a class now is left out."""
    found = []
    for one in tried:
        held = newest(rows, columns.event_time, one.stretch)
        if has_all(held[columns.label], columns.classes):
            found.append((one, held))
        else:
            context.log(
                f"with the validation rows a class is missing from the stretch of {one.rows} rows: it is left out"
            )
    return found


def baseline(context: StepContext, join: pl.DataFrame, split: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    """What the simple baseline says of the test rows."""
    rows, test = rows_of(join, split, TRAIN, VALIDATION), rows_of(join, split, TEST)
    encoder = fit_encoder(rows, columns.features)
    labels = encode_labels(rows.get_column(columns.label), columns.classes)
    scores = baseline_scores(rows, labels, test, encoder, task=columns.task, seed=context.seed)
    return as_frame(scores)


def package(context: StepContext, fit: bytes, join: pl.DataFrame, split: pl.DataFrame, columns: Columns) -> Packaged:
    """The bundle: exported exactly or not at all, checked against the estimator, measured."""
    rows = rows_of(join, split, TRAIN, VALIDATION)
    encoder = fit_encoder(rows, columns.features)
    signature = signature_of(rows, encoder, task=columns.task, classes=columns.classes)
    estimator = load_fitted(fit)
    return keep_bundle(context, estimator, encoder if input_of(estimator) == "matrix" else None, signature, rows)


def keep_bundle(
    context: StepContext,
    estimator: Any,
    encoder: TableEncoder | None,
    signature: Signature,
    rows: pl.DataFrame,
    own_classes: tuple[Label, ...] = (),
) -> Packaged:
    """Makes a bundle of an estimator and keeps it; `encoder` is None when the estimator takes a table.

    `own_classes` are the estimator's names of the signature's classes, in the signature's order, where they are others.
    """
    sample, redacted = rows.select(signature.names), context.workspace.settings.redacted
    make = partial(make_bundle, estimator, encoder, signature, sample, own_classes=own_classes, redacted=redacted)
    return keep_made(context, make)


def keep_made(context: StepContext, make: Callable[[Path], Manifest]) -> Packaged:
    """Keeps the bundle that is made in a folder."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "bundle"
        manifest = make(made)
        digest = store_bundle(made, context.workspace.blobs)
    context.log(
        f"{manifest.runtime} bundle, {manifest.size_mb:.2f} MB"
        + (manifest.not_exported and "; " + manifest.not_exported)
        + (f"; converted by skl2onnx: {', '.join(manifest.converted)}" if manifest.converted else "")
    )
    return Packaged(
        bundle=digest,
        runtime=manifest.runtime,
        exported=manifest.runtime == "onnx",
        not_exported=manifest.not_exported,
        size_mb=manifest.size_mb,
        latency_p50_ms=manifest.latency.p50_ms,
        latency_p99_ms=manifest.latency.p99_ms,
        parity={one.name: one.largest_difference for one in manifest.parity.groups},
    )


def rows_of(rows: pl.DataFrame, split: pl.DataFrame, *parts: str) -> pl.DataFrame:
    """The rows of some parts, in order."""
    return rows.filter(split.get_column("part").is_in(parts))


def as_frame(scores: NDArray[np.float64]) -> pl.DataFrame:
    """Scores as a frame, a column for each class where there are several."""
    table = scores[:, None] if scores.ndim == 1 else scores
    return pl.DataFrame({f"score_{place}": table[:, place] for place in range(table.shape[1])})


def _record_trial(context: StepContext, project: str, metric_name: str, values: list[float], trial: Trial) -> None:
    run = create_run(
        context.workspace,
        project=project,
        kind="trial",
        name=f"trial {trial.number}",
        created_by=context.actor.name,
        parent=context.run_id,
        tags={"pruned": "yes" if trial.pruned else "no"},
        seed=context.seed,
    )
    start(context.workspace, run.id)
    log_params(context.workspace, run.id, trial.parameters)
    for rung, value in enumerate(values):
        log_metrics(context.workspace, run.id, {f"validation_{metric_name}": value}, step=rung)
    finish(context.workspace, run.id)
