"""What is done with feature views: built, stored as versions, joined to rows."""

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from kept.core.errors import Invalid
from kept.data.catalog import read
from kept.data.frames import as_known, call, need_columns
from kept.data.ingestion import TableSpec, ingest
from kept.data.version import DatasetVersion
from kept.features.join import join_as_known
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.plan.project import Project
from kept.plan.specs import FeatureViewSpec


def dataset_name(view: str) -> str:
    """The dataset that holds a view's rows."""
    return f"features/{view}"


def build_views(project: Project, until: datetime | None = None) -> dict[str, pl.DataFrame]:
    """What each view's function gives: the rows that were known at `until`, or all there are."""
    frames = {}
    for spec in project.views.values():
        frame = call(spec.function, until, where=f"feature view {spec.name}")
        known = until is not None and spec.known_at in frame.columns
        frames[spec.name] = as_known(
            frame, until, event_time=spec.known_at if known else None, label=None, label_known=None
        )
    return frames


def ingest_views(
    workspace: Workspace,
    actor: Actor,
    project: Project,
    *,
    run_id: str | None = None,
    until: datetime | None = None,
) -> dict[str, DatasetVersion]:
    """Stores each view's rows as a version, where they changed, and gives the versions by the views' names.

    Rows that no join can give are left out: those without an entity or a time (not known yet), and of rows that
    agree in all of them all but the last.
    """
    versions = {}
    for name, frame in build_views(project, until).items():
        spec = _table_spec(project.views[name])
        need_columns(frame, spec.key, where=f"feature view {name}")
        usable = frame.drop_nulls(spec.key).unique(spec.key, keep="last", maintain_order=True)
        versions[name] = ingest(workspace, actor, project.name, spec, usable, run_id=run_id)
    return versions


def read_views(
    workspace: Workspace, project: Project, numbers: Mapping[str, int] | None = None
) -> dict[str, pl.DataFrame]:
    """The stored rows of each view, of the versions given, else of the newest."""
    return {
        name: read(workspace, project.name, dataset_name(name), None if numbers is None else numbers[name]).collect()
        for name in project.views
    }


def with_features(
    project: Project,
    rows: pl.DataFrame,
    views: Mapping[str, pl.DataFrame] | None = None,
    until: datetime | None = None,
) -> pl.DataFrame:
    """The rows with the features of all views, as known at each row's event time: for training and for senders alike.

    Args:
        project: declares the views, and the rows' event time.
        rows: the rows, never dropped, duplicated or reordered.
        views: the views' frames by name; asked of their functions when not given.
        until: what the functions are asked for then.
    """
    if not project.views:
        return rows
    at = project.the_dataset.event_time
    if at is None:
        fix = "Declare event_time=... with @project.dataset"
        raise Invalid(
            "features are joined by the event time, and the dataset has none",
            where=f"Project({project.name!r})",
            fix=fix,
        )
    frames = build_views(project, until) if views is None else views
    missing = [name for name in project.views if name not in frames]
    if missing:
        raise Invalid(
            f"there is no frame of the view {missing[0]!r}", where="with_features", fix="Give one for each view"
        )
    return join_as_known(rows, [(spec, frames[name]) for name, spec in project.views.items()], at=at)


def feature_names(project: Project, rows: pl.DataFrame) -> tuple[str, ...]:
    """The columns of joined rows that come from views."""
    prefixes = tuple(f"{name}_" for name in project.views)
    return tuple(name for name in rows.columns if prefixes and name.startswith(prefixes))


def _table_spec(spec: FeatureViewSpec) -> TableSpec:
    times = tuple(dict.fromkeys((spec.event_time, spec.known_at)))
    return TableSpec(
        name=dataset_name(spec.name),
        key=tuple(dict.fromkeys((*spec.entity, *times))),
        event_time=spec.event_time,
        times=times,
        optional=True,
        source=(spec.function.__doc__ or spec.name).strip().splitlines()[0],
    )
