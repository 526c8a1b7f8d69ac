"""Drift of contributions: whether predictions still hang on the inputs that they hung on in training.

Of a sample of each window's predictions the absolute contribution of each input is held against that of training
rows, by the drift detector, with a part of the endpoint's budget. Contributions follow from the inputs alone: what changes in an input matters here as
far as it matters to the answers.
"""

import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import polars.selectors as cs

from kept.core.errors import Invalid
from kept.governance.workspace import Workspace
from kept.measures.arrays import decode
from kept.measures.drift.detector import DriftFinding, update
from kept.measures.drift.reference import count_window
from kept.monitoring import drift
from kept.monitoring.budget import Budget
from kept.monitoring.drift import DriftWatch
from kept.monitoring.performance import Measured
from kept.monitoring.subject import Subject
from kept.monitoring.window import Window
from kept.packaging.bundle import fetch_bundle
from kept.packaging.explaining.attribution import Attributions, attribution_table, mean_attributions

MONITOR = "attribution"
TITLE = "predictions hang on other inputs than in training"

LEAST_ROWS = 30
_RANKED = 10


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What one window's contributions showed, and the mean absolute contribution of each input, in training and now."""

    finding: DriftFinding
    usual: dict[str, float]
    current: dict[str, float]


class AttributionMonitor:
    """Watches the contributions of one version.

    Args:
        workspace: where its bundle is.
        champion: the version.
        reference: what its answers hung on in training.
        rows: how many predictions of a window are explained.
        windows: its budget: at most one false alarm in so many of them.
        unseen: features that the log does not hold as they were sent.
    """

    def __init__(
        self,
        workspace: Workspace,
        champion: Subject,
        reference: Attributions,
        *,
        rows: int,
        windows: float,
        unseen: Collection[str] = (),
    ) -> None:
        # The runtime of models comes with it: a process that watches none has no use for it.
        from kept.packaging.explaining.exact import ExactExplainer  # noqa: PLC0415
        from kept.packaging.explaining.explainer import load_explainer  # noqa: PLC0415

        with tempfile.TemporaryDirectory() as scratch:
            found = load_explainer(fetch_bundle(champion.bundle, workspace.blobs, Path(scratch) / "bundle"))
        known = isinstance(found, ExactExplainer) and not set(found.features) & set(unseen)
        self._explainer = found if known and isinstance(found, ExactExplainer) else None
        self._champion = champion
        self._reference = reference
        self._rows = rows
        self._windows = windows

    def feed(
        self, watch: DriftWatch | None, features: pl.DataFrame, window: Window, acted_at: datetime | None
    ) -> tuple[DriftWatch | None, Shown | None]:
        """The watch after one more window of the version's inputs, and what it showed.

        A window with fewer than 30 predictions, whose inputs were not all logged as the version takes them, or of a season
        that training did not see is left out.
        """
        explainer, reference = self._explainer, self._reference.reference
        season = reference.season_at(window.start)
        if reference.of_season(season) is None:
            return watch, None
        if explainer is None or features.height < LEAST_ROWS or not set(explainer.features) <= set(features.columns):
            return watch, None
        most = min(self._rows, explainer.most_rows)
        some = features.gather_every(-(-features.height // most)).select(explainer.features)
        try:
            table = attribution_table(explainer, some.with_columns(cs.float().fill_nan(None)).to_dicts())
        except Invalid:
            return watch, None
        watch = drift.continued(
            watch,
            version_id=self._champion.version_id,
            digest=self._champion.attribution or "",
            reference=reference,
            acted_at=acted_at,
            windows=self._windows,
        )
        detector, finding = update(watch.detector, reference, count_window(reference, table), season)
        watch = msgspec.structs.replace(watch, detector=detector, alarmed=watch.alarmed or finding.alarm)
        return watch, Shown(finding=finding, usual=self._reference.means, current=mean_attributions(table))


def attribution_reference(workspace: Workspace, champion: Subject) -> Attributions | None:
    """What the version's answers hung on in training, read and verified; None where that was not kept."""
    return None if champion.attribution is None else decode(workspace.blobs.get(champion.attribution), Attributions)


def measured(shown: Shown) -> list[Measured]:
    """The detector's value against its budget, then each input's mean absolute contribution and its evidence."""
    rows = shown.finding.rows
    found = [msgspec.structs.replace(drift.measured(shown.finding), metric=MONITOR)]
    for column in shown.finding.columns:
        found += [
            Measured(metric="contribution", slice=column.name, value=shown.current[column.name], rows=rows),
            Measured(metric="evidence", slice=column.name, value=column.evidence, rows=rows),
        ]
    return found


def evidence_of(shown: Shown, budget: Budget, window: Window) -> dict[str, Any]:
    """The numbers behind an alarm: the inputs whose contributions have changed, the likeliest first."""
    columns = shown.finding.columns
    listed = [column.name for column in columns if column.listed] or [columns[0].name]
    causes = [
        f"{name}: its mean contribution went from {shown.usual[name]:.3g} to {shown.current[name]:.3g}"
        for name in listed[:_RANKED]
    ]
    means = [
        {"input": one.name, "training": shown.usual[one.name], "window": shown.current[one.name]}
        for one in columns[:_RANKED]
    ]
    return {
        **drift.evidence_of(shown.finding, budget, window),
        "causes": causes,
        "contributions": means,
        "against": "rows that the version was trained on",
    }
