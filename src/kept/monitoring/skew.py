"""Training-serving skew: whether traffic looks as the training rows did, and features are served as they are stored.

Distributions: the drift engine looks once, at the champion's first monitoring windows against its training rows. Values: for
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
from kept.deployment.records import routes_of
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.measures.drift.causes import ColumnFinding
from kept.measures.drift.detector import DriftFinding
from kept.monitoring import drift
from kept.monitoring.feature_skew import FeatureSkew, compare_values, stored_until, stored_views, views_of
from kept.monitoring.plan import monitoring_plan
from kept.monitoring.stream import Stream, features_of
from kept.monitoring.subject import Subject, champion_since, drift_reference, subject_of
from kept.monitoring.window import first_whole, window_of
from kept.plan.records import find_project
from kept.plan.reference import TRAINING, in_words
from kept.plan.windows import Windows
from kept.serving.logrules import log_rules
from kept.training.reference import window_numbers

# One look: an e-value of 100 has a chance of at most 1% where nothing differs (Markov).
_SURE = 100.0
# Rows that a release is judged by, in whole windows.
ENOUGH = 500
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
        since = champion_since(routes_of(connection, endpoint.name))
    if status.route is None:
        raise NotFound("it serves nothing yet", where=f"endpoint {endpoint.name}", fix="Release a version")
    champion = subject_of(workspace, status.route.route.champion.version_id)
    hidden = log_rules(workspace.settings).redacted
    views = views_of(project.plan) if project else {}
    plan = monitoring_plan(project) if project else None
    windows = plan.windows if plan else Windows(length=_DAY)
    until = stored_until(workspace, endpoint.project, views) if views else None
    stream, notes = Stream(workspace, endpoint.name), list[str]()
    own, span = answers_of(stream, champion.version_id), stream.span(None)
    first = pl.DataFrame() if own is None or span is None else _first(own, span, since, windows, notes)
    finding: DriftFinding | None = None
    if first.is_empty():
        notes.append("it has answered nothing yet")
    elif (finding := compare_with_training(workspace, champion, first, hidden, windows)) is None:
        notes.append("the version has no reference: distributions are not compared")
    else:
        notes.append(said(finding, in_words(plan.reference) if plan else in_words(TRAINING)))
    values: tuple[FeatureSkew, ...] = ()
    if not views:
        notes.append("the project has no feature views: values are not recomputed")
    elif until is None:
        notes.append("no training has stored the feature views yet: values are not recomputed")
    elif own is None or (last := _newest(own, sample, until)).is_empty():
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
    workspace: Workspace, version: Subject, answers: pl.DataFrame, hidden: Collection[str], cut: Windows
) -> DriftFinding | None:
    """Whether rows that a version answered look as its training rows did, at one look; None where it has no reference.

    Each monitoring window (`cut` tells how long they are) is judged by itself, since rows of one hang together, against its own season where
    the reference tells seasons apart; what they say is added up.
    """
    whole = drift_reference(workspace, version)
    if whole is None:
        return None
    reference = drift.without(whole, hidden)
    numbers = window_numbers(answers["event_time"], cut)
    parts = [answers.filter(pl.Series(numbers == number)) for number in np.unique(numbers)]
    seasons = [(reference.season_at(cut.start(cut.number(rows["event_time"][0]))), rows) for rows in parts]
    windows = [(season, rows) for season, rows in seasons if reference.of_season(season) is not None]
    # Their sum grows by one a window at most, where nothing differs.
    state, finding = drift.begin(reference, _SURE * len(windows)), None
    for season, rows in windows:
        state, finding = drift.judge(state, reference, drift.count(reference, features_of(rows)), season)
    return finding and replace(finding, rows=sum(rows.height for _, rows in windows))


def answers_of(stream: Stream, version_id: str) -> pl.LazyFrame | None:
    """What a version answered to those who asked; None where nothing was shipped yet."""
    rows = stream.rows()
    return None if rows is None else rows.filter((pl.col("version_id") == version_id) & (pl.col("role") != "shadow"))


def first_windows(answers: pl.LazyFrame, windows: Windows) -> pl.DataFrame:
    """The rows of the first windows that hold 500 together, by event time: all where there are fewer, of many 20,000, evenly."""
    times = answers.select("event_time").bottom_k(ENOUGH, by="event_time").collect().get_column("event_time")
    if times.is_empty():
        return pl.DataFrame()
    end = windows.start(windows.number(times.max()) + 1)  # type: ignore[arg-type]
    return evenly(answers.filter(pl.col("event_time") < end).collect().sort("event_time", "id"), _MOST_ROWS)


def evenly(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    """At most so many rows, evenly from first to last."""
    return rows if rows.height <= most else rows.gather_every(-(-rows.height // most))


def _first(
    own: pl.LazyFrame, span: tuple[datetime, datetime], since: datetime | None, windows: Windows, notes: list[str]
) -> pl.DataFrame:
    """What a version was asked in its first whole windows; before one has ended all that it was asked, which `notes` tell."""
    begin = first_whole(since or span[0], windows)
    end = window_of(span[1], windows).start
    whole = first_windows(own.filter(pl.col("event_time").is_between(begin, end, closed="left")), windows)
    if not whole.is_empty():
        return whole
    notes.append("its first monitoring window has not ended: the hours of a day may differ by themselves")
    return first_windows(own, windows)


def _newest(own: pl.LazyFrame, sample: int, until: datetime) -> pl.DataFrame:
    """A version's newest answers up to a moment."""
    known = own.filter(pl.col("event_time") <= until)
    return known.top_k(sample, by="event_time").collect().sort("event_time", "id")


def said(finding: DriftFinding, against: str) -> str:
    """What a comparison showed, as a sentence."""
    if not finding.alarm:
        return f"the first {finding.rows:,} rows of serving do not differ surely from {against}"
    names = [column.name for column in finding.columns if column.listed] or [finding.columns[0].name]
    return (
        f"the first {finding.rows:,} rows of serving differ from {against} (a mistake in at most 1% of cases): most in"
        f" {', '.join(names[:5])}"
    )
