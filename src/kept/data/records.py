"""Rows of dataset versions, contracts and labels on their way to the ledger."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select

from kept.data.contract import TableContract
from kept.data.label import LabelFile, LabelRow
from kept.data.version import DatasetVersion
from kept.store.rows import from_row, to_row
from kept.store.schema import contracts, dataset_versions, label_files, label_inbox
from kept.store.upsert import Upsert

_SAVE_CONTRACT = Upsert(contracts, overwrite=["created_at"])
_SAVE_FILE = Upsert(label_files, overwrite=["name", "rows", "updated_at"])

# --- versions ---


def insert_version(connection: Connection, version: DatasetVersion) -> None:
    """Adds a version."""
    connection.execute(insert(dataset_versions).values(**to_row(version)))


def last_version(connection: Connection, project: str, dataset: str) -> DatasetVersion | None:
    """The newest version of a dataset."""
    query = select(dataset_versions).where(_of(project, dataset)).order_by(dataset_versions.c.number.desc()).limit(1)
    row = connection.execute(query).mappings().first()
    return from_row(row, DatasetVersion) if row else None


def find_version(connection: Connection, project: str, dataset: str, number: int) -> DatasetVersion | None:
    """The version of this number."""
    query = select(dataset_versions).where(_of(project, dataset), dataset_versions.c.number == number)
    row = connection.execute(query).mappings().first()
    return from_row(row, DatasetVersion) if row else None


def versions(connection: Connection, project: str | None, dataset: str | None, limit: int) -> list[DatasetVersion]:
    """Versions, newest first, of one dataset, one project or all."""
    query = select(dataset_versions).order_by(dataset_versions.c.created_at.desc(), dataset_versions.c.number.desc())
    if project is not None:
        query = query.where(dataset_versions.c.project == project)
    if dataset is not None:
        query = query.where(dataset_versions.c.dataset == dataset)
    return [from_row(row, DatasetVersion) for row in connection.execute(query.limit(limit)).mappings()]


def _of(project: str, dataset: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - an SQL expression
    return (dataset_versions.c.project == project) & (dataset_versions.c.dataset == dataset)


# --- contracts ---


def save_contract(connection: Connection, project: str, dataset: str, contract: TableContract, at: datetime) -> str:
    """Makes the contract the one in force and gives its digest."""
    digest = contract.digest()
    row = {"digest": digest, "project": project, "dataset": dataset, "created_at": at}
    _SAVE_CONTRACT.into(connection, [{**row, "contract": to_row(contract)}])
    return digest


def contract_in_force(connection: Connection, project: str, dataset: str) -> TableContract | None:
    """The contract that was saved last."""
    query = select(contracts.c.contract).where(contracts.c.project == project, contracts.c.dataset == dataset)
    return _contract(connection, query.order_by(contracts.c.created_at.desc()).limit(1))


def find_contract(connection: Connection, project: str, dataset: str, digest: str) -> TableContract | None:
    """The contract of this digest."""
    query = select(contracts.c.contract).where(
        contracts.c.project == project, contracts.c.dataset == dataset, contracts.c.digest == digest
    )
    return _contract(connection, query)


def _contract(connection: Connection, query) -> TableContract | None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    row = connection.execute(query).mappings().first()
    return from_row(row["contract"], TableContract) if row else None


# --- labels ---


def insert_labels(connection: Connection, labels: Iterable[LabelRow]) -> None:
    """Adds labels to the inbox; their sequence is set here, in the order in which transactions commit."""
    rows = [
        {name: getattr(label, name) for name in LabelRow.__struct_fields__ if name != "sequence"} for label in labels
    ]
    if rows:
        connection.execute(insert(label_inbox), rows)


def waiting_labels(connection: Connection, endpoint: str, limit: int | None = None) -> list[LabelRow]:
    """Labels of an endpoint that are in the inbox, in order."""
    columns = [label_inbox.c[name] for name in LabelRow.__struct_fields__]
    query = select(*columns).where(label_inbox.c.endpoint == endpoint).order_by(label_inbox.c.sequence)
    # Straight to the struct: there can be many, and their types are the columns'.
    return [LabelRow(*row) for row in connection.execute(query.limit(limit))]


def last_waiting(connection: Connection, endpoint: str) -> int | None:
    """The sequence of the newest label of an endpoint that is in the inbox, or None when there is none."""
    query = select(func.max(label_inbox.c.sequence)).where(label_inbox.c.endpoint == endpoint)
    found: int | None = connection.execute(query).scalar()
    return found


def delete_labels(connection: Connection, endpoint: str, up_to: int) -> int:
    """Removes labels from the inbox, up to a sequence, and gives how many there were."""
    query = delete(label_inbox).where(label_inbox.c.endpoint == endpoint, label_inbox.c.sequence <= up_to)
    return connection.execute(query).rowcount


def endpoints_waiting(connection: Connection) -> list[str]:
    """Endpoints with labels in the inbox."""
    query = select(label_inbox.c.endpoint).group_by(label_inbox.c.endpoint).order_by(func.min(label_inbox.c.sequence))
    return list(connection.execute(query).scalars())


def find_file(connection: Connection, endpoint: str, digest: str) -> LabelFile | None:
    """How far a file of labels was recorded."""
    query = select(label_files).where(label_files.c.endpoint == endpoint, label_files.c.digest == digest)
    row = connection.execute(query).mappings().first()
    return from_row(row, LabelFile) if row else None


def save_file(connection: Connection, file: LabelFile) -> None:
    """Notes how far a file of labels was recorded."""
    _SAVE_FILE.into(connection, [to_row(file)])
