"""The model card, built from lineage: what a version was made of, and what it can and cannot do.

After Mitchell et al. 2019, "Model cards for model reporting".
"""

from datetime import datetime
from typing import Any

import msgspec

from kept.core.clock import format_time
from kept.evaluation.comparison import Comparison
from kept.evaluation.loss import LossReference
from kept.evaluation.report import EvaluationReport

_POORLY_CALIBRATED = 0.05


class DataSource(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset version that the model was made from."""

    dataset: str
    number: int
    fingerprint: str
    rows: int
    quarantined: int = 0
    """Rows set aside because they broke the contract."""
    event_from: datetime | None = None
    event_to: datetime | None = None
    source: str = ""


class Adoption(msgspec.Struct, frozen=True, kw_only=True):
    """The version of a client from which a model was taken over."""

    model: str
    number: int
    """0 for a file that was handed over, which was no version before."""
    version_id: str
    source: str
    """What the client named as its source."""
    run_id: str | None
    """The run that logged it."""
    logged_model: str | None
    flavour: str
    made_with: str
    """The release of the framework that wrote it."""
    files: dict[str, str]
    """Digest of each file of its folder."""
    classes: dict[str, str] = {}
    """The project's class for each that the model knows by another name."""


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """Where a version comes from: what the pipeline knows of it."""

    question: str
    owner: str
    estimator: str
    data: tuple[DataSource, ...]
    features: tuple[str, ...]
    views: dict[str, int] = {}
    """Number of each feature view's version."""
    parameters: dict[str, Any] = {}
    """Hyperparameters, as they were chosen."""
    training_rows: int
    run_id: str | None = None
    code: str | None = None
    """Digest of the code snapshot."""
    environment: str | None = None
    """Digest of the environment."""
    seeds: dict[str, int] = {}
    bundle: str
    runtime: str = ""
    """What runs the bundle: onnx, skops."""
    reference: str | None = None
    """Digest of the reference that drift is measured against: what the training rows looked like."""
    attribution: str | None = None
    """Digest of what the answers hung on over training rows, where the project has contributions watched."""
    loss: LossReference | None = None
    """The loss on the test rows, against which decay is measured."""
    adopted: Adoption | None = None
    """Where the model comes from when Kept did not train it; then `data` is what it was judged on."""
    notes: tuple[str, ...] = ()
    """Limits that the pipeline met: not exported, rows left out."""


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model version."""

    lineage: Lineage
    report: EvaluationReport
    baseline: Comparison | None
    champion: Comparison | None
    """The champion at that time; None for a first version."""
    limits: tuple[str, ...]
    """What it does not know or cannot promise, a sentence each."""

    @property
    def values(self) -> dict[str, float | None]:
        """Every metric's estimate, and what was measured on the bundle."""
        return {name: one.estimate for name, one in self.report.metrics.items()} | self.report.operational


def write_card(
    lineage: Lineage,
    report: EvaluationReport,
    *,
    baseline: Comparison | None = None,
    champion: Comparison | None = None,
) -> ModelCard:
    """The card of a version, with the limits that its own facts show."""
    limits = (*_limits_of_data(lineage), *_limits_of_report(report), *_limits_of_comparison(baseline), *lineage.notes)
    return ModelCard(lineage=lineage, report=report, baseline=baseline, champion=champion, limits=limits)


def _limits_of_data(lineage: Lineage) -> list[str]:
    if lineage.adopted is not None:
        by = f"run {lineage.adopted.run_id}" if lineage.adopted.run_id else "a client"
        return [
            f"It was trained outside of Kept and logged by {by}: which rows it learnt from, test rows too, is not known."
        ]
    limits = []
    for one in lineage.data:
        if one.event_from is not None and one.event_to is not None:
            span = f"{format_time(one.event_from)} to {format_time(one.event_to)}"
            limits.append(f"It was made from events of {one.dataset} from {span}; of other times it knows nothing.")
        if one.quarantined:
            limits.append(
                f"{one.quarantined:,} rows of {one.dataset} were set aside because they broke its contract; "
                "it has not learnt from such rows."
            )
    return limits


def _limits_of_report(report: EvaluationReport) -> list[str]:
    limits = []
    for group in report.slices:
        small = [one for one in group.slices if not one.judged]
        if small or group.unlisted:
            count, rows = len(small) + group.unlisted, sum(one.rows for one in small)
            limits.append(
                f"{group.metric} is not judged in {count} {'slices' if count > 1 else 'slice'} of {group.by} "
                f"({rows:,} test rows{' in the largest of them' if group.unlisted else ''}): too few rows or only one class."
            )
    error = report.metrics.get("expected_calibration_error")
    if error is not None and error.estimate is not None and error.estimate > _POORLY_CALIBRATED:
        limits.append(
            f"Its probabilities are off by {error.estimate:.3f} on average: use them to rank, not as chances."
        )
    absent = [str(name) for name, row in zip(report.classes, report.confusion, strict=True) if not sum(row)]
    if absent:
        limits.append(
            f"The test rows hold none of the classes {', '.join(absent)}: how well it knows them is not known."
        )
    unknown = [name for name, one in report.metrics.items() if one.estimate is None]
    if unknown:
        limits.append(f"Not defined on the test rows: {', '.join(unknown)}.")
    return limits


def _limits_of_comparison(baseline: Comparison | None) -> list[str]:
    if baseline is None or baseline.judged.clearly_better:
        return []
    return [f"It is not clearly better than a simple model. {baseline.sentence}"]
