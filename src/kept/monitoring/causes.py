"""Why a version does worse than its first labelled predictions did: columns, shifts and slices, as sentences and numbers."""

from typing import Any

import msgspec
import numpy as np

from kept.core.errors import NotFound
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.measures.arrays import Floats
from kept.measures.covariates import Covariates
from kept.measures.loss_attribution import PLAYERS, ColumnPart, Shifts, SlicePart, by_column, by_shift
from kept.measures.loss_slices import Cut, cut_columns, slices_of
from kept.measures.losses import row_loss
from kept.measures.slice_search import LEAST_ROWS, MOST_SLICES, WorseSlice, worse_slices
from kept.monitoring.alert import Alert
from kept.monitoring.alerts import RaiseAlert
from kept.monitoring.estimate import FEWEST, PREDICTION, Memory, value_names
from kept.monitoring.outcomes import Outcomes
from kept.monitoring.records import alerts_of, find_alert
from kept.plan.specs import Task

_TOLD = 5
_LOSSES: dict[Task, str] = {"binary": "Brier score", "multiclass": "Brier score", "regression": "absolute error"}
_OTHERS = "all other columns"
_LOOKED_THROUGH = 50


class ColumnCause(msgspec.Struct, frozen=True, kw_only=True):
    """What one column tells of the rise: `mix` + `within` is the rise, `explained` what it is ranked by."""

    column: str
    mix: float
    within: float
    explained: float
    worst: str
    """The slice that adds most."""
    adds: float


class ShiftCause(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the rise: what the shift of a column (or of all others) brought."""

    columns: str
    part: float


class SliceCause(msgspec.Struct, frozen=True, kw_only=True):
    """A slice whose loss rose more than chance moves the worst of all that were looked at."""

    slice: str
    loss_before: float
    loss_now: float
    rows_before: int
    rows_now: int
    p: float


class Causes(msgspec.Struct, frozen=True, kw_only=True):
    """The rise of the mean loss since the version's first labelled predictions.

    `shifts` and `outcomes` (the same rows now have other outcomes) add up to `rise`. `sentences` tell the most of it.
    """

    loss: str
    before: float
    now: float
    rise: float
    rows_before: int
    rows_now: int
    sentences: tuple[str, ...]
    columns: tuple[ColumnCause, ...]
    shifts: tuple[ShiftCause, ...]
    outcomes: float
    slices: tuple[SliceCause, ...]
    slices_searched: int


class ShowCauses(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which alert, or of an endpoint's newest one that has causes."""

    endpoint: str
    alert: str | None = None


class AlertCauses(msgspec.Struct, frozen=True, kw_only=True):
    """An alert with its causes."""

    alert: Alert
    causes: Causes


@operation("monitoring.causes", needs=Permission.VIEW, on="endpoint", audit=Audit.READ)
def show_causes(workspace: Workspace, actor: Actor, request: ShowCauses) -> AlertCauses:
    """Why an objective fell, as it was found when the alert was raised; `NotFound` where none was."""
    del actor
    with workspace.database.reading() as connection:
        if request.alert is None:
            known = alerts_of(connection, endpoint=request.endpoint, limit=_LOOKED_THROUGH)
        else:
            one = find_alert(connection, request.alert)
            known = [one] if one and one.endpoint == request.endpoint else []
    for alert in known:
        if "attribution" in alert.evidence:
            return AlertCauses(alert=alert, causes=msgspec.convert(alert.evidence["attribution"], Causes))
    raise NotFound(
        "no alert with causes",
        where=f"endpoint {request.endpoint}",
        fix="They are found when decay or a broken objective is told, against at least 200 earlier labelled predictions",
    )


def find_causes(task: Task, baseline: Memory, outcomes: Outcomes, features: Covariates) -> Causes | None:
    """Why a window's labelled predictions lose more than the first ones did; None where they do not, or too few are known."""
    known = baseline.labels.size >= FEWEST and outcomes.rows >= LEAST_ROWS
    if (
        not known
        or baseline.features.columns != features.columns
        or baseline.scores.shape[1:] != outcomes.scores.shape[1:]
    ):
        return None
    if baseline.features.categorical != features.categorical:
        return None
    before, now = _losses(task, baseline.labels, baseline.scores), _losses(task, outcomes.labels, outcomes.scores)
    rise = float(now.mean() - before.mean())
    if not rise > 0:
        return None
    names = value_names(outcomes.frame)
    cuts = [pair for pair in cut_columns(baseline.features, features) if not pair[0].column.startswith(PREDICTION)]
    columns = [_column(one, names) for one in by_column(before, now, cuts)[:_TOLD]]
    shifts = by_shift(before, baseline.features, features, float(now.mean()), _players(cuts))
    searched = slices_of(cuts, least=LEAST_ROWS, most=MOST_SLICES)
    slices = [_slice(one, names) for one in worse_slices(before, now, searched)[:_TOLD]]
    parts = [ShiftCause(columns=_listed(one.columns), part=one.part) for one in shifts.shifts]
    return Causes(
        loss=_LOSSES[task],
        before=float(before.mean()),
        now=float(now.mean()),
        rise=rise,
        rows_before=before.size,
        rows_now=now.size,
        sentences=tuple(_sentences(task, before, now, columns, parts, shifts, slices, len(searched))),
        columns=tuple(columns),
        shifts=tuple(parts),
        outcomes=shifts.outcomes,
        slices=tuple(slices),
        slices_searched=len(searched),
    )


def with_causes(alert: RaiseAlert, causes: Causes | None) -> RaiseAlert:
    """The alert with its causes among the evidence."""
    if causes is None:
        return alert
    told: dict[str, Any] = {"causes": list(causes.sentences), "attribution": msgspec.to_builtins(causes)}
    return msgspec.structs.replace(alert, evidence={**alert.evidence, **told})


def _losses(task: Task, labels: Floats, scores: Floats) -> Floats:
    return row_loss("absolute_error" if task == "regression" else "brier", labels, scores)


def _players(cuts: list[tuple[Cut, Cut]]) -> list[tuple[str, ...]]:
    """The columns that shifted most, each for itself, and all others together."""

    def moved(pair: tuple[Cut, Cut]) -> float:
        size = len(pair[0].bounds)
        was, is_ = (np.bincount(one.place, minlength=size) / one.place.size for one in pair)
        return float(np.abs(is_ - was).sum())

    ordered = [pair[0].column for pair in sorted(cuts, key=lambda pair: -moved(pair))]
    alone = PLAYERS if len(ordered) <= PLAYERS else PLAYERS - 1
    return [(name,) for name in ordered[:alone]] + ([tuple(ordered[alone:])] if ordered[alone:] else [])


def _listed(columns: tuple[str, ...]) -> str:
    return columns[0] if len(columns) == 1 else _OTHERS


def _column(part: ColumnPart, names: dict[float, str]) -> ColumnCause:
    worst: SlicePart = part.slices[0]
    return ColumnCause(
        column=part.column,
        mix=part.mix,
        within=part.within,
        explained=part.explained,
        worst=_described(part.column, worst.bounds, names),
        adds=worst.mix + worst.within,
    )


def _slice(one: WorseSlice, names: dict[float, str]) -> SliceCause:
    return SliceCause(
        slice=" and ".join(_described(column, bounds, names) for column, bounds in one.parts),
        loss_before=one.loss_before,
        loss_now=one.loss_now,
        rows_before=one.rows_before,
        rows_now=one.rows_now,
        p=one.p,
    )


def _described(column: str, bounds: tuple[float, float], names: dict[float, str]) -> str:
    low, high = bounds
    if np.isnan(low):
        return f"{column} missing"
    if low == high:
        return f"{column} = {names.get(low, 'a value not seen now')}"
    if np.isinf(low) and np.isinf(high):
        return f"any other {column}"
    if np.isinf(low):
        return f"{column} below {high:.4g}"
    return f"{column} from {low:.4g} on" if np.isinf(high) else f"{column} {low:.4g} to {high:.4g}"


def _sentences(
    task: Task,
    before: Floats,
    now: Floats,
    columns: list[ColumnCause],
    parts: list[ShiftCause],
    shifts: Shifts,
    slices: list[SliceCause],
    searched: int,
) -> list[str]:
    told = [f"{_LOSSES[task]} rose from {before.mean():.3g} to {now.mean():.3g}, by {shifts.rise:.3g}"]
    told.append(f"the same rows now having other outcomes makes {shifts.outcomes:+.3g} of it")
    told += [f"a shift of {one.columns} makes {one.part:+.3g} of it" for one in parts[:3]]
    told += [
        f"by {one.column}: another mix {one.mix:+.3g}, change within {one.within:+.3g}; most where {one.worst} ({one.adds:+.3g})"
        for one in columns[:3]
    ]
    told += [
        f"where {one.slice} it went from {one.loss_before:.3g} to {one.loss_now:.3g}"
        f" (p = {one.p:.2g}, the worst of {searched:,} slices allowed for)"
        for one in slices[:3]
    ]
    return told
