"""Training against serving: whether traffic looks as the training rows did, and whether features are served as they are stored.

Distributions: the drift engine looks once, at the champion's first rows of serving against its training rows. Values: for
a sample of requests, each feature of a view as it was sent beside the same recomputed from the store, as it was known at the
request's event time.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
import numpy as np
import polars as pl

from kept.core.clock import format_time
from kept.core.errors import NotFound
from kept.core.listing import list_limit
from kept.deployment.catalog import status_of, the_endpoint
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.measures.drift.causes import ColumnFinding
from kept.measures.drift.detector import DriftFinding
from kept.monitoring import drift
from kept.monitoring.feature_skew import FeatureSkew, compare_values, stored_until, stored_views, views_of
from kept.monitoring.plan import monitoring_plan
from kept.monitoring.stream import Stream, features_of
from kept.monitoring.subject import Subject, drift_reference, subject_of
from kept.monitoring.window import window_of
from kept.plan.records import find_project
from kept.serving.logrules import log_rules
from kept.training.reference import window_numbers

# One look: an e-value of 100 has a chance of at most 1% where nothing differs (Markov).
_SURE = 100.0
_MOST_ROWS = 20_000
_DAY = timedelta(days=1)


class ShowSkew(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which endpoint's champion, and how many of its newest requests are recomputed."""

    endpoint: str
    sample: int = 200


class Skew(msgspec.Struct, frozen=True, kw_only=True):
    """How the champion is served against how it was trained."""

    endpoint: str
    version_id: str
    rows: int
    """Of its first ones in serving, whose distributions were compared."""
    differs: bool | None
    """Whether they differ from the training rows: a mistake in at most 1% of cases. None where it cannot be told."""
    columns: tuple[ColumnFinding, ...]
    """Columns, the likeliest to differ first."""
    values: tuple[FeatureSkew, ...]
    """Features of views, the most often different first."""
    notes: tuple[str, ...]
    """What could not be compared, and why; what was found, as sentences."""


@operation("monitoring.skew", needs=Permission.VIEW, on="endpoint", audit=Audit.READ)
def show_skew(workspace: Workspace, actor: Actor, request: ShowSkew) -> Skew:
    """The champion's serving against its training: distributions, and features value by value."""
    del actor
    sample = list_limit(request.sample, where="skew")
    with workspace.database.reading() as connection:
        endpoint = the_endpoint(connection, request.endpoint)
        status = status_of(connection, endpoint)
        project = find_project(connection, endpoint.project)
    if status.route is None:
        raise NotFound("it serves nothing yet", where=f"endpoint {endpoint.name}", fix="Release a version")
    champion = subject_of(workspace, status.route.route.champion.version_id)
    hidden = log_rules(workspace.settings).redacted
    views = views_of(project.plan) if project else {}
    length = monitoring_plan(project).window if project else _DAY
    until = stored_until(workspace, endpoint.project, views) if views else None
    first, last = _rows_of(Stream(workspace, endpoint.name), champion.version_id, sample, until)
    notes: list[str] = []
    finding: DriftFinding | None = None
    if first.is_empty():
        notes.append("it has answered nothing yet")
    elif (finding := compare_with_training(workspace, champion, first, hidden, length)) is None:
        notes.append("the version has no reference: distributions are not compared")
    else:
        notes.append(said(finding))
    values: tuple[FeatureSkew, ...] = ()
    if not views:
        notes.append("the project has no feature views: values are not recomputed")
    elif until is None:
        notes.append("no training has stored the feature views yet: values are not recomputed")
    elif last.is_empty():
        notes.append(f"feature views are stored up to {format_time(until)}: no request is older")
    else:
        values = compare_values(last, stored_views(workspace, endpoint.project, views, notes), notes, hidden)
    return Skew(
        endpoint=endpoint.name,
        version_id=champion.version_id,
        rows=first.height,
        differs=finding.alarm if finding is not None else None,
        columns=finding.columns if finding is not None else (),
        values=values,
        notes=tuple(notes),
    )


def compare_with_training(
    workspace: Workspace, version: Subject, answers: pl.DataFrame, hidden: Collection[str], length: timedelta
) -> DriftFinding | None:
    """Whether rows that a version answered look as its training rows did, at one look; None where it has no reference.

    Where the reference tells seasons apart, each monitoring window of this `length` is held against its own season, and what
    they say is added up.
    """
    whole = drift_reference(workspace, version)
    if whole is None:
        return None
    reference = drift.without(whole, hidden)
    windows: list[tuple[int | None, pl.DataFrame]] = [(None, answers)]
    if reference.cycle is not None:
        numbers = window_numbers(answers["event_time"], length)
        parts = [answers.filter(pl.Series(numbers == number)) for number in np.unique(numbers)]
        seasons = [(reference.season_at(window_of(rows["event_time"][0], length).start), rows) for rows in parts]
        windows = [(season, rows) for season, rows in seasons if reference.of_season(season) is not None]
    state, finding = drift.begin(reference, _SURE * len(windows)), None
    for season, rows in windows:
        state, finding = drift.judge(state, reference, drift.count(reference, features_of(rows)), season)
    return finding and replace(finding, rows=sum(rows.height for _, rows in windows))


def _rows_of(stream: Stream, version_id: str, sample: int, until: datetime | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A version's first answers by event time, and its newest up to a moment."""
    rows = stream.rows()
    if rows is None:
        return pl.DataFrame(), pl.DataFrame()
    own = rows.filter((pl.col("version_id") == version_id) & (pl.col("role") != "shadow"))
    first = own.bottom_k(_MOST_ROWS, by="event_time").collect().sort("event_time", "id")
    if until is None:
        return first, pl.DataFrame()
    last = own.filter(pl.col("event_time") <= until).top_k(sample, by="event_time").collect().sort("event_time", "id")
    return first, last


def said(finding: DriftFinding) -> str:
    """What a comparison showed, as a sentence."""
    if not finding.alarm:
        return f"the first {finding.rows:,} rows of serving do not differ surely from the training rows"
    names = [column.name for column in finding.columns if column.listed] or [finding.columns[0].name]
    return (
        f"the first {finding.rows:,} rows of serving differ from the training rows (a mistake in at most 1% of cases): most in"
        f" {', '.join(names[:5])}"
    )
