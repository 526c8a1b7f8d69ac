"""The steps of the standard pipeline that judge: evaluate the bundle, hold it against what was promised."""

from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from kept.core.errors import KeptError
from kept.evaluation.comparison import Comparison, compare
from kept.evaluation.gate import Verdict
from kept.evaluation.gate import judge as judge_report
from kept.evaluation.loss import LossReference, reference_loss
from kept.evaluation.report import EvaluationReport
from kept.evaluation.report import evaluate as measure_all
from kept.evaluation.unseen import learnt_rows, unseen
from kept.measures.arrays import Floats
from kept.packaging.bundle import fetch_bundle
from kept.packaging.runtime import load_runtime
from kept.pipelines.context import StepContext
from kept.plan.loading import load_project
from kept.training.facts import Columns, Packaged
from kept.training.fitting import rows_of
from kept.training.reference import window_numbers
from kept.training.splits import TEST
from kept.training.targets import encode_labels

_FEWEST_UNSEEN = 100


class Incumbent(msgspec.Struct, frozen=True, kw_only=True):
    """The version that is champion when the pipeline runs; empty when there is none."""

    version_id: str = ""
    number: int = 0
    bundle: str = ""
    run_id: str = ""
    """The run that made it."""


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured on the test rows."""

    report: EvaluationReport
    baseline: Comparison
    champion: Comparison | None
    loss: LossReference
    notes: tuple[str, ...] = ()


def evaluate(
    context: StepContext,
    source: str,
    join: pl.DataFrame,
    split: pl.DataFrame,
    columns: Columns,
    package: Packaged,
    baseline: pl.DataFrame,
    champion: Incumbent,
) -> Evaluated:
    """Scores the test rows with the bundle itself, and with the champion's and the baseline on the same rows.

    The champion is compared on the rows that it has not learnt from.
    """
    project = load_project(Path(source))
    test = rows_of(join, split, TEST)
    labels = np.asarray(encode_labels(test.get_column(columns.label), columns.classes), dtype=np.float64)
    scores = score_bundle(context, package.bundle, test)
    operational = {
        "latency_p50_ms": package.latency_p50_ms,
        "latency_p99_ms": package.latency_p99_ms,
        "size_mb": package.size_mb,
    }
    seed, task, classes, objectives = context.seed, columns.task, columns.classes, project.objectives
    time = columns.event_time
    windows = None if time is None else window_numbers(test.get_column(time), project.windows)
    report = measure_all(task, classes, scores, labels, test, objectives, operational, seed=seed, windows=windows)
    rival, notes = None, []
    if champion.bundle:
        fair, said = _unseen_by(context, champion, test, project.the_dataset.key)
        notes += said
        try:
            if fair.any():
                theirs = score_bundle(context, champion.bundle, test.filter(fair))
                ours = (labels[fair], scores[fair])
                rival = compare(
                    task,
                    classes,
                    *ours,
                    theirs,
                    name="champion",
                    objectives=objectives,
                    seed=seed,
                    windows=None if windows is None else windows[fair],
                )
        except KeptError as error:
            notes.append(f"The champion (version {champion.number}) could not be compared: {error}")
    simple = baseline.to_numpy()
    evaluated = Evaluated(
        report=report,
        baseline=compare(
            task,
            classes,
            labels,
            scores,
            simple if task == "multiclass" else simple[:, 0],
            name="baseline",
            objectives=objectives,
            seed=seed,
            windows=windows,
        ),
        champion=rival,
        loss=reference_loss(task, labels, scores, windows),
        notes=tuple(notes),
    )
    found = {name: one.estimate for name, one in report.metrics.items() if one.estimate is not None}
    context.log(", ".join(f"{name} {value:.4g}" for name, value in found.items()))
    return evaluated


def judge(context: StepContext, source: str, evaluate: Evaluated) -> Verdict:
    """Every objective with value, bound and margin; and whether baseline and champion are beaten."""
    project = load_project(Path(source))
    verdict = judge_report(project.objectives, evaluate.report, champion=evaluate.champion, baseline=evaluate.baseline)
    for one in verdict.objectives:
        context.log(("holds  " if one.passed else "FAILS  ") + one.sentence)
    for check in verdict.checks:
        context.log(("holds  " if check.passed else "FAILS  ") + check.sentence)
    return verdict


def _unseen_by(
    context: StepContext, champion: Incumbent, test: pl.DataFrame, key: tuple[str, ...]
) -> tuple[NDArray[np.bool_], list[str]]:
    """The test rows on which the comparison is fair, and what is to be said of the others."""
    learnt = learnt_rows(context, champion.run_id) if champion.run_id else None
    if learnt is None:
        note = (
            f"It is not known which rows the champion (version {champion.number}) learnt from: it may know test rows."
        )
        return np.ones(test.height, dtype=np.bool_), [note]
    fair = unseen(test, learnt, key).to_numpy()
    count = int(fair.sum())
    if count == test.height:
        return fair, []
    knows = (
        f"The champion (version {champion.number}) learnt from {test.height - count:,} of the {test.height:,} test rows"
    )
    if count < _FEWEST_UNSEEN:
        none = np.zeros(test.height, dtype=np.bool_)
        return none, [f"{knows}; the other {count:,} are too few to compare the two."]
    return fair, [f"{knows}; the two were compared on the other {count:,}."]


def score_bundle(context: StepContext, bundle: str, rows: pl.DataFrame) -> Floats:
    """What a kept bundle answers for rows."""
    folder = fetch_bundle(bundle, context.workspace.blobs, context.scratch / bundle.replace(":", "-"))
    runtime = load_runtime(folder, digest=bundle)
    names = runtime.manifest.signature.names
    return runtime.predict_columns({name: rows.get_column(name).to_list() for name in names})
