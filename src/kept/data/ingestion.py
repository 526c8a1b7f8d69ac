"""Ingestion: a frame is checked, its bad rows are set aside, and the rest is stored as a version of its dataset.

The table is written first and the record that points to its version after it. What a killed process wrote without
recording is never read: the next ingestion starts from the last version that was recorded.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec
import polars as pl

from kept.core.errors import CheckFailed, Conflict, Invalid
from kept.core.ids import new_id
from kept.data.checks import Checked, Roles, check
from kept.data.contract import Quality, TableContract
from kept.data.fingerprint import fingerprint
from kept.data.frames import as_known, need_columns, need_moments, stored_types
from kept.data.quarantine import put_aside
from kept.data.records import contract_in_force, find_contract, insert_version, last_version, save_contract
from kept.data.version import DatasetVersion, quarantine_of, table_of
from kept.governance.actor import Actor, Permission
from kept.governance.operation import operation
from kept.governance.workspace import Workspace
from kept.plan.specs import DatasetSpec

_ATTEMPTS = 5
_SHOWN = 5
_KEPT_OF_A_FAILURE = 10_000


@dataclass(frozen=True)
class TableSpec:
    """What ingestion must know of a dataset or feature view."""

    name: str
    """The dataset's name; `features/<view>` for a feature view."""
    key: tuple[str, ...] = ()
    event_time: str | None = None
    times: tuple[str, ...] = ()
    """Columns that must hold moments with a zone."""
    required: tuple[str, ...] = ()
    """Columns in which each row must have a value, beside the key."""
    label: str | None = None
    label_known: pl.Expr | None = None
    """From when a row's label is known."""
    optional: bool = False
    """Whether all other columns may be null at any time."""
    mode: Literal["append", "replace"] = "replace"
    max_bad_share: float = 0.01
    source: str = ""


class RecordIngest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version whose rows are stored; or, where too many rows were bad, the attempt at one."""

    version: DatasetVersion
    contract: TableContract
    max_bad_share: float

    @property
    def dataset(self) -> str:
        """The project and the dataset."""
        return f"{self.version.project}/{self.version.dataset}"


@operation("data.ingest", needs=Permission.CONTRIBUTE, on="dataset", remote=False)
def record_ingest(workspace: Workspace, actor: Actor, request: RecordIngest) -> DatasetVersion:
    """Makes stored rows the dataset's next version; refuses them where too many were set aside."""
    del actor
    version, quality = request.version, request.version.quality
    if quality.bad_share > request.max_bad_share:
        raise CheckFailed(
            _too_many(quality, request.max_bad_share),
            where=f"dataset {version.dataset}",
            fix=f"See them with kept data quarantine {version.dataset} (table {quarantine_of(version.project, version.dataset)}); "
            "mend the source, change the schema (kept data schema), or allow more with max_bad_share",
        )
    with workspace.database.writing() as connection:
        last = last_version(connection, version.project, version.dataset)
        if version.number != (last.number if last else 0) + 1:
            what = f"version {version.number} was stored by somebody else meanwhile"
            raise Conflict(what, where=f"dataset {version.dataset}", fix="Ingest again")
        if find_contract(connection, version.project, version.dataset, version.contract_digest) is None:
            save_contract(connection, version.project, version.dataset, request.contract, version.created_at)
        insert_version(connection, version)
    return version


def ingest(
    workspace: Workspace,
    actor: Actor,
    project_name: str,
    spec: DatasetSpec | TableSpec,
    frame: pl.DataFrame,
    *,
    run_id: str | None = None,
    until: datetime | None = None,
) -> DatasetVersion:
    """Stores the frame as the dataset's next version and gives it; the version before, when nothing has changed.

    In mode `replace` the frame is the whole dataset. In mode `append` its rows are added; one whose key is stored
    already takes the place of that row.

    Args:
        workspace: where it is stored.
        actor: who ingests.
        project_name: the project.
        spec: what the columns mean.
        frame: the rows.
        run_id: the run that ingests, if one does.
        until: the moment whose knowledge is asked for: rows of later events are left out, labels known later are null.

    Raises:
        Invalid: the frame is empty, or lacks a column, or a column has the wrong type, or times have no zone.
        CheckFailed: more rows are bad than the declared share.
    """
    spec = table_spec(spec) if isinstance(spec, DatasetSpec) else spec
    frame = _prepared(frame, spec, until)
    for attempt in range(_ATTEMPTS):
        try:
            return _ingest_once(workspace, actor, project_name, spec, frame, run_id)
        except Conflict:
            # Another ingestion of this dataset finished first: this one is done again on top of its version.
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def table_spec(spec: DatasetSpec) -> TableSpec:
    """A project's dataset, as ingestion sees it."""
    known = None
    if spec.label_time is not None:
        known = pl.col(spec.label_time)
    elif spec.event_time is not None:
        known = pl.col(spec.event_time) + spec.label_delay
    return TableSpec(
        name=spec.name,
        key=spec.key,
        event_time=spec.event_time,
        times=tuple(name for name in (spec.event_time, spec.label_time) if name is not None),
        required=() if spec.event_time is None else (spec.event_time,),
        label=spec.label,
        label_known=known,
        mode=spec.mode,
        max_bad_share=spec.max_bad_share,
        source=spec.source,
    )


def _prepared(frame: pl.DataFrame, spec: TableSpec, until: datetime | None) -> pl.DataFrame:
    where = f"dataset {spec.name}"
    if spec.mode == "append" and not spec.key:
        fix = 'Declare key=..., or mode="replace"'
        raise Invalid("without a key, rows that come again cannot be told from new ones", where=where, fix=fix)
    labels = () if spec.label is None else (spec.label,)
    need_columns(frame, dict.fromkeys((*spec.key, *spec.times, *spec.required, *labels)), where=where)
    frame = stored_types(frame, where=where)
    if frame.is_empty():
        if spec.mode == "append":
            return frame
        raise Invalid("it has no rows", where=where, fix="Check the source it is read from")
    need_moments(frame, spec.times, where=where)
    known = as_known(frame, until, event_time=spec.event_time, label=spec.label, label_known=spec.label_known)
    if known.is_empty() and spec.mode == "replace":
        fix = "Ask for a later moment, or check the event times"
        raise Invalid(f"none of its {frame.height} rows was known at {until}", where=where, fix=fix)
    return known


def _ingest_once(
    workspace: Workspace, actor: Actor, project: str, spec: TableSpec, frame: pl.DataFrame, run_id: str | None
) -> DatasetVersion:
    with workspace.database.reading() as connection:
        base = last_version(connection, project, spec.name)
        contract = contract_in_force(connection, project, spec.name)
    if frame.is_empty():
        if base is None:
            raise Invalid("it has no rows", where=f"dataset {spec.name}", fix="Check the source it is read from")
        return base
    roles = Roles(key=spec.key, required=spec.required, label=spec.label, optional=spec.optional)
    checked = check(frame, contract, roles, name=spec.name)
    draft = _draft(workspace, actor, project, spec, checked, base, run_id)
    request = RecordIngest(version=draft, contract=checked.contract, max_bad_share=spec.max_bad_share)
    if checked.quality.bad_share > spec.max_bad_share:
        _put_aside(workspace, draft, checked, _KEPT_OF_A_FAILURE)
        return record_ingest(workspace, actor, request)
    content, fresh = _content(workspace, spec, checked.good.with_columns(pl.col(pl.Null).cast(pl.String)), base)
    digest = fingerprint(content)
    if base is not None and _same(workspace, base, content, digest):
        return base
    _put_aside(workspace, draft, checked, None)
    stored = msgspec.structs.replace(
        draft,
        table_version=_store(workspace, draft, base, content, fresh),
        fingerprint=digest,
        rows=content.height,
        rows_added=_added(workspace, spec, base, content, fresh),
        columns={name: str(dtype) for name, dtype in content.schema.items()},
        **_span(content, spec.event_time),
    )
    return record_ingest(workspace, actor, msgspec.structs.replace(request, version=stored))


def _draft(
    workspace: Workspace,
    actor: Actor,
    project: str,
    spec: TableSpec,
    checked: Checked,
    base: DatasetVersion | None,
    run_id: str | None,
) -> DatasetVersion:
    return DatasetVersion(
        id=new_id(),
        project=project,
        dataset=spec.name,
        number=base.number + 1 if base else 1,
        table_version=-1,
        mode=spec.mode,
        fingerprint="",
        rows=checked.good.height,
        rows_added=0,
        rows_quarantined=checked.bad.height,
        columns={name: str(dtype) for name, dtype in checked.good.schema.items()},
        contract_digest=checked.contract.digest(),
        quality=checked.quality,
        source=spec.source,
        created_by=actor.name,
        run_id=run_id,
        event_from=None,
        event_to=None,
        created_at=workspace.clock.now(),
    )


def _content(
    workspace: Workspace, spec: TableSpec, good: pl.DataFrame, base: DatasetVersion | None
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """The rows of the new version; and the rows to add, where adding rows to the version before is all there is to do."""
    if spec.mode == "replace" or base is None:
        return good, None
    stored = workspace.tables.read(table_of(base.project, base.dataset), base.table_version).collect()
    kinds = {name: dtype for name, dtype in good.schema.items() if stored.schema.get(name, dtype) != dtype}
    # A column that had no values yet was stored as text; its first values decide what it is.
    stored = stored.with_columns(pl.col(name).cast(dtype) for name, dtype in kinds.items())
    fresh = good.join(stored, on=spec.key, how="anti")
    both = pl.concat([stored, good], how="diagonal")
    again = both.filter(pl.struct(spec.key).is_duplicated())
    repeats = good.height - fresh.height
    if not kinds and 2 * repeats == again.height and again.unique().height == repeats:
        return pl.concat([stored, fresh], how="diagonal"), fresh
    return both.filter(pl.struct(spec.key).is_last_distinct()), None


def _same(workspace: Workspace, base: DatasetVersion, content: pl.DataFrame, digest: str) -> bool:
    if base.fingerprint == digest:
        return True
    if base.rows != content.height or base.columns != {name: str(dtype) for name, dtype in content.schema.items()}:
        return False
    # Hashes are those of the installed polars; the version before may have been hashed by another one.
    stored = workspace.tables.read(table_of(base.project, base.dataset), base.table_version).collect()
    return fingerprint(stored) == digest


def _store(
    workspace: Workspace,
    draft: DatasetVersion,
    base: DatasetVersion | None,
    content: pl.DataFrame,
    fresh: pl.DataFrame | None,
) -> int:
    """Writes the rows and gives the table's version that holds exactly the content."""
    name = table_of(draft.project, draft.dataset)
    if base is not None and fresh is not None and workspace.tables.version(name) == base.table_version:
        version = workspace.tables.append(name, fresh)
        if version == base.table_version + 1:
            return version
    # Something was written that no version tells of, by a process that was killed or is at it now: leave it out.
    return workspace.tables.replace(name, content)


def _added(
    workspace: Workspace,
    spec: TableSpec,
    base: DatasetVersion | None,
    content: pl.DataFrame,
    fresh: pl.DataFrame | None,
) -> int:
    if base is None:
        return content.height
    if fresh is not None:
        return fresh.height
    if not spec.key:
        return max(0, content.height - base.rows)
    before = workspace.tables.read(table_of(base.project, base.dataset), base.table_version).select(spec.key)
    return content.select(spec.key).join(before.collect(), on=spec.key, how="anti").height


def _span(content: pl.DataFrame, event_time: str | None) -> dict[str, datetime | None]:
    if event_time is None:
        return {}
    low, high = content.select(pl.col(event_time).min().alias("low"), pl.col(event_time).max().alias("high")).row(0)
    return {"event_from": low, "event_to": high}


def _put_aside(workspace: Workspace, draft: DatasetVersion, checked: Checked, limit: int | None) -> None:
    put_aside(
        workspace.tables,
        draft.project,
        draft.dataset,
        checked.bad.head(limit) if limit else checked.bad,
        checked.reasons.head(limit) if limit else checked.reasons,
        ingest_id=draft.id,
        at=draft.created_at,
    )


def _too_many(quality: Quality, allowed: float) -> str:
    top = sorted(quality.reasons.items(), key=lambda one: -one[1])[:_SHOWN]
    reasons = ", ".join(f"{reason} ({count} rows)" for reason, count in top)
    return f"{quality.bad} of {quality.rows} rows ({quality.bad_share:.1%}) cannot be used, {allowed:.1%} may be: {reasons}"
