"""The catalogue of datasets: their versions listed, shown, compared and read, and their schemas."""

import msgspec
import polars as pl

from kept.core.errors import Invalid, NotFound
from kept.core.listing import list_limit
from kept.data.contract import TableContract
from kept.data.difference import Difference, difference
from kept.data.odcs import from_odcs, to_odcs
from kept.data.quarantine import BadRow, set_aside
from kept.data.records import contract_in_force, find_contract, find_version, last_version, save_contract, versions
from kept.data.version import DatasetVersion, table_of
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace


class ListData(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Versions, newest first: of all projects, of one project, or of one dataset."""

    project: str | None = None
    dataset: str | None = None
    limit: int = 50


class ShowData(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of a dataset; the newest without a number."""

    project: str
    dataset: str
    number: int | None = None


class DiffData(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two versions of a dataset; the newest and the one before it without numbers."""

    project: str
    dataset: str
    before: int | None = None
    after: int | None = None


class ShowQuarantine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bad rows of a version; without a number, of the last ingestion that had any, also one that was stopped."""

    project: str
    dataset: str
    number: int | None = None
    limit: int = 100


class SetSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A schema that later versions are held to, as ODCS YAML."""

    project: str
    dataset: str
    schema: str


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset's contract, and the same as ODCS YAML."""

    contract: TableContract
    schema: str


@operation("data.list", needs=Permission.VIEW, audit=Audit.READ)
def list_data(workspace: Workspace, actor: Actor, request: ListData) -> list[DatasetVersion]:
    """Versions of datasets, newest first."""
    del actor
    limit = list_limit(request.limit, where="data")
    with workspace.database.reading() as connection:
        return versions(connection, request.project, request.dataset, limit)


@operation("data.show", needs=Permission.VIEW, audit=Audit.READ)
def show_data(workspace: Workspace, actor: Actor, request: ShowData) -> DatasetVersion:
    """A version of a dataset, with how it stood up to its contract."""
    del actor
    return the_version(workspace, request.project, request.dataset, request.number)


@operation("data.diff", needs=Permission.VIEW, audit=Audit.READ)
def diff_data(workspace: Workspace, actor: Actor, request: DiffData) -> Difference:
    """What differs between two versions of a dataset: rows, columns, values."""
    del actor
    after = the_version(workspace, request.project, request.dataset, request.after)
    if request.before is None and after.number == 1:
        raise Invalid("there is only one version", where=f"dataset {request.dataset}", fix="Ingest again, then compare")
    earlier = after.number - 1 if request.before is None else request.before
    before = the_version(workspace, request.project, request.dataset, earlier)
    with workspace.database.reading() as connection:
        contract = find_contract(connection, request.project, request.dataset, after.contract_digest)
    return difference(
        request.dataset,
        read(workspace, request.project, request.dataset, before.number).collect(),
        read(workspace, request.project, request.dataset, after.number).collect(),
        contract.key if contract else (),
        (before.number, after.number),
    )


@operation("data.schema", needs=Permission.VIEW, audit=Audit.READ)
def show_schema(workspace: Workspace, actor: Actor, request: ShowData) -> Schema:
    """The contract of a version; the one in force without a number."""
    del actor
    with workspace.database.reading() as connection:
        if request.number is None:
            contract = contract_in_force(connection, request.project, request.dataset)
        else:
            version = find_version(connection, request.project, request.dataset, request.number)
            digest = version.contract_digest if version else ""
            contract = find_contract(connection, request.project, request.dataset, digest)
    if contract is None:
        raise _unknown(request.project, request.dataset, request.number)
    return Schema(contract=contract, schema=to_odcs(contract))


@operation("data.set_schema", needs=Permission.CONTRIBUTE, on="dataset")
def set_schema(workspace: Workspace, actor: Actor, request: SetSchema) -> Schema:
    """Holds later versions to this schema instead of the one in force."""
    del actor
    contract = from_odcs(request.schema, where=f"schema of {request.dataset}")
    with workspace.database.writing() as connection:
        save_contract(connection, request.project, request.dataset, contract, workspace.clock.now())
    return Schema(contract=contract, schema=to_odcs(contract))


@operation("data.quarantine", needs=Permission.VIEW, audit=Audit.READ)
def show_quarantine(workspace: Workspace, actor: Actor, request: ShowQuarantine) -> list[BadRow]:
    """Rows that were set aside, each with its reason."""
    del actor
    limit = list_limit(request.limit, where="quarantine")
    ingest_id = None
    if request.number is not None:
        ingest_id = the_version(workspace, request.project, request.dataset, request.number).id
    return set_aside(workspace.tables, request.project, request.dataset, ingest_id, limit)


def the_version(workspace: Workspace, project: str, dataset: str, number: int | None = None) -> DatasetVersion:
    """The version of this number, or the newest; `NotFound` when there is none."""
    with workspace.database.reading() as connection:
        found = (
            last_version(connection, project, dataset)
            if number is None
            else find_version(connection, project, dataset, number)
        )
    if found is None:
        raise _unknown(project, dataset, number)
    return found


def read(workspace: Workspace, project: str, dataset: str, number: int | None = None) -> pl.LazyFrame:
    """The rows of a version, as they were stored; the newest version without a number."""
    version = the_version(workspace, project, dataset, number)
    return workspace.tables.read(table_of(project, dataset), version.table_version)


def _unknown(project: str, dataset: str, number: int | None) -> NotFound:
    what = f"there is no version {number}" if number is not None else "there is no version yet"
    return NotFound(what, where=f"dataset {project}/{dataset}", fix="See kept data list")
