"""The pipeline steps `evaluate` and `judge`: measure the bundle on the test rows, then apply the gate."""

from dataclasses import dataclass
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
from kept.measures.arrays import Floats, Ints
from kept.packaging.bundle import fetch_bundle
from kept.packaging.runtime import load_runtime
from kept.pipelines.context import StepContext
from kept.plan.loading import load_project
from kept.plan.project import Project
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


@dataclass(frozen=True, kw_only=True)
class _Scored:
    """The test rows as the new model scored them."""

    rows: pl.DataFrame
    labels: Floats
    scores: Floats
    windows: Ints | None
    columns: Columns
    project: Project
    seed: int

    def against(self, rival: str, theirs: Floats, fair: NDArray[np.bool_]) -> Comparison:
        """The model beside a rival, which scored the rows on which comparing the two is fair."""
        return compare(
            self.columns.task,
            self.columns.classes,
            self.labels[fair],
            self.scores[fair],
            theirs,
            name=rival,
            objectives=self.project.objectives,
            seed=self.seed,
            windows=None if self.windows is None else self.windows[fair],
        )


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
    scored = _score(context, load_project(Path(source)), rows_of(join, split, TEST), columns, package.bundle)
    operational = {
        "latency_p50_ms": package.latency_p50_ms,
        "latency_p99_ms": package.latency_p99_ms,
        "size_mb": package.size_mb,
    }
    report = measure_all(
        columns.task,
        columns.classes,
        scored.scores,
        scored.labels,
        scored.rows,
        scored.project.objectives,
        operational,
        seed=scored.seed,
        windows=scored.windows,
    )
    rival, notes = _against_champion(context, scored, champion)
    simple = baseline.to_numpy()
    evaluated = Evaluated(
        report=report,
        baseline=scored.against(
            "baseline",
            simple if columns.task == "multiclass" else simple[:, 0],
            np.ones(scored.rows.height, dtype=np.bool_),
        ),
        champion=rival,
        loss=reference_loss(columns.task, scored.labels, scored.scores, scored.windows),
        notes=notes,
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


def _score(context: StepContext, project: Project, test: pl.DataFrame, columns: Columns, bundle: str) -> _Scored:
    time = columns.event_time
    return _Scored(
        rows=test,
        labels=np.asarray(encode_labels(test.get_column(columns.label), columns.classes), dtype=np.float64),
        scores=score_bundle(context, bundle, test),
        windows=None if time is None else window_numbers(test.get_column(time), project.windows),
        columns=columns,
        project=project,
        seed=context.seed,
    )


def _against_champion(
    context: StepContext, scored: _Scored, champion: Incumbent
) -> tuple[Comparison | None, tuple[str, ...]]:
    """The model beside the champion, if there is one and the two can be compared; and what is to be said of that."""
    if not champion.bundle:
        return None, ()
    fair, notes = _unseen_by(context, champion, scored.rows, scored.project.the_dataset.key)
    if not fair.any():
        return None, tuple(notes)
    try:
        theirs = score_bundle(context, champion.bundle, scored.rows.filter(fair))
        return scored.against("champion", theirs, fair), tuple(notes)
    except KeptError as error:
        failed = f"The champion (version {champion.number}) could not be compared: {error}"
        return None, (*notes, failed)


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
