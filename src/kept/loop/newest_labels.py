"""Champion against challenger on the newest labelled predictions: those of events that the challenger has not learnt from.

The gate before registration holds both against rows of the training's own data, which end where that training began. What
was labelled since is asked of the challenger here, once, before it is released; the champion's answers stand in the log.
"""

import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from kept.core.clock import format_time
from kept.core.errors import KeptError
from kept.deployment.release import rule_of
from kept.deployment.rollout import Rule
from kept.deployment.rule import compare_losses
from kept.governance.workspace import Workspace
from kept.loop.context import LoopContext
from kept.loop.rollouts import gains, gains_by_window
from kept.measures.clustered import FEWEST_WINDOWS, clustered_mean
from kept.measures.sequential import LEAST_OUTCOMES, Arm
from kept.monitoring.labelled_rows import labelled_back
from kept.monitoring.stream import Stream, features_of
from kept.monitoring.subject import Subject, subject_of
from kept.monitoring.window import Window
from kept.packaging.bundle import fetch_bundle
from kept.plan.windows import Windows
from kept.registry.version import ModelVersion

_MOST = 5_000
_TICK = timedelta(microseconds=1)


class NewestLabels(msgspec.Struct, frozen=True, kw_only=True):
    """What the newest labels say of a challenger."""

    sentence: str
    worse: bool = False
    labels: int = 0
    difference: float | None = None
    """Mean loss of the champion minus that of the challenger, between -1 and 1; None where they were not compared."""
    low: float | None = None
    high: float | None = None
    """Its interval: over windows, or the confidence sequence of a rollout."""
    windows: int | None = None
    """The windows that were one observation each; None where each label was."""


def on_newest_labels(context: LoopContext, challenger: ModelVersion, learnt_until: datetime | None) -> NewestLabels:
    """Holds a version against the champion on at most 5,000 labelled predictions of the champion.

    Args:
        context: whose endpoint.
        challenger: the version that is to be released.
        learnt_until: the event time up to which it has seen labels; None where nobody knows.

    It is worse when the whole interval of the difference is, at the level of a rollout's quality. Where they lie in five
    monitoring windows or more, a window is one observation of the two, since its rows hang together.
    """
    if learnt_until is None or context.champion is None:
        return NewestLabels(sentence="It is not known up to when it has learnt, so no labels are known to be newer.")
    workspace = context.workspace
    champion, candidate = subject_of(workspace, context.champion), subject_of(workspace, challenger.id)
    labelled = _labelled(workspace, context.endpoint, champion, learnt_until, context.plan.windows)
    since = f"labelled predictions are newer than {format_time(learnt_until)}, up to which it has learnt"
    if labelled.height < LEAST_OUTCOMES:
        return NewestLabels(sentence=f"Only {labelled.height} {since}.", labels=labelled.height)
    try:
        pairs = _asked_too(workspace, labelled, candidate)
    except KeptError as error:
        return NewestLabels(sentence=f"It was not asked about the newest labels: {error}", labels=labelled.height)
    rule = rule_of(context.plan.releasing, context.plan.objectives)
    found = _compared(pairs, champion, candidate, rule, context.plan.windows)
    if found.difference is None or found.low is None or found.high is None:
        return NewestLabels(
            sentence=f"{labelled.height:,} {since}, and too few can be compared.", labels=labelled.height
        )
    worse = found.high < 0
    side = "lower" if found.difference > 0 else "higher"
    told = "is worse" if worse else "is better" if found.low > 0 else "cannot be told apart"
    return NewestLabels(
        sentence=(
            f"{labelled.height:,} {since}{found.by}. On these it {told}: its mean loss is {abs(found.difference):.4f} {side} than the"
            f" champion's (difference {found.low:+.4f} to {found.high:+.4f})."
        ),
        worse=worse,
        labels=labelled.height,
        difference=found.difference,
        low=found.low,
        high=found.high,
        windows=found.windows,
    )


@dataclass(frozen=True, kw_only=True)
class _Compared:
    difference: float | None
    low: float | None
    high: float | None
    windows: int | None = None

    @property
    def by(self) -> str:
        """What one observation was, where it was no label."""
        return "" if self.windows is None else f" and lie in {self.windows} windows, of which each is one observation"


def _compared(pairs: pl.DataFrame, champion: Subject, candidate: Subject, rule: Rule, windows: Windows) -> _Compared:
    """The mean of the champion's loss minus the other's, over windows where there are enough of them."""
    whole = gains(pairs, champion, candidate, rule)
    each = gains_by_window(pairs, champion, candidate, rule, windows)
    if whole.size >= LEAST_OUTCOMES and len(each) >= FEWEST_WINDOWS:
        numbers = np.repeat(np.arange(len(each)), [one.size for one in each])
        mean = clustered_mean(np.concatenate(each), numbers, level=1 - rule.alpha)
        if mean.low is not None:
            return _Compared(difference=mean.estimate, low=mean.low, high=mean.high, windows=len(each))
    found = compare_losses(rule, Arm.of(whole))
    return _Compared(difference=found.difference, low=found.low, high=found.high)


def _labelled(
    workspace: Workspace, endpoint: str, champion: Subject, since: datetime, windows: Windows
) -> pl.DataFrame:
    """The newest of the champion's predictions that have a label."""
    stream = Stream(workspace, endpoint)
    # Both ends as times are kept: the first is behind what was learnt from, the last belongs to them.
    newer = Window(start=since + _TICK, end=stream.now + _TICK)
    found, rows = list[pl.DataFrame](), 0
    for one in labelled_back(workspace, stream, champion.version_id, newer, windows):
        found.append(one)
        rows += one.height
        if rows >= _MOST:
            break
    return pl.concat(found[::-1]).tail(_MOST) if found else pl.DataFrame()


def _asked_too(workspace: Workspace, labelled: pl.DataFrame, candidate: Subject) -> pl.DataFrame:
    """The predictions, and beside them what another version answers to the same rows."""
    # ONNX Runtime comes with it, which the pages and a worker without such work never need.
    from kept.packaging.runtime import load_runtime  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        runtime = load_runtime(fetch_bundle(candidate.bundle, workspace.blobs, Path(folder) / "bundle"))
    rows: list[dict[str, Any]] = features_of(labelled).to_dicts()
    answers = runtime.predict_rows(rows)
    nothing = pl.Series([None] * len(rows), dtype=pl.Float64)
    if candidate.task == "multiclass":
        return labelled.with_columns(other_score=nothing, other_scores=pl.Series(answers.tolist()))
    return labelled.with_columns(other_score=pl.Series(answers), other_scores=nothing)
