"""Rows of model versions and their aliases."""

from sqlalchemy import Connection, delete, func, insert, or_, select

from kept.registry.model import Alias, ModelVersion, Status
from kept.store.rows import from_row, to_row
from kept.store.schema import model_aliases, model_versions
from kept.store.upsert import Upsert
from kept.store.within import text_within

_PUT_ALIAS = Upsert(model_aliases, overwrite=["version_id", "set_by", "set_at"])


def insert_version(connection: Connection, version: ModelVersion) -> None:
    """Adds a version."""
    connection.execute(insert(model_versions).values(**to_row(version)))


def next_number(connection: Connection, model: str) -> int:
    """The number that the model's next version has. Call it in the transaction that inserts the version."""
    query = select(func.max(model_versions.c.number)).where(model_versions.c.model == model)
    return int(connection.execute(query).scalar() or 0) + 1


def version_of_run(connection: Connection, model: str, run_id: str) -> ModelVersion | None:
    """The version of this model that a run registered."""
    query = select(model_versions).where(model_versions.c.model == model, model_versions.c.run_id == run_id)
    row = connection.execute(query).mappings().first()
    return from_row(row, ModelVersion) if row else None


def version_by_id(connection: Connection, version_id: str) -> ModelVersion | None:
    """The version of this id."""
    row = connection.execute(select(model_versions).where(model_versions.c.id == version_id)).mappings().first()
    return from_row(row, ModelVersion) if row else None


def version_by_number(connection: Connection, model: str, number: int) -> ModelVersion | None:
    """The version of this model and number."""
    query = select(model_versions).where(model_versions.c.model == model, model_versions.c.number == number)
    row = connection.execute(query).mappings().first()
    return from_row(row, ModelVersion) if row else None


def newest_version(connection: Connection, model: str) -> ModelVersion | None:
    """The version with the largest number."""
    return version_by_number(connection, model, next_number(connection, model) - 1)


def versions(
    connection: Connection,
    *,
    model: str | None = None,
    project: str | None = None,
    status: Status | None = None,
    text: str = "",
    offset: int = 0,
    limit: int,
) -> list[ModelVersion]:
    """Versions, newest first; `text` is looked for in the names of model, project and creator, and in the question."""
    query = select(model_versions).order_by(model_versions.c.created_at.desc(), model_versions.c.id.desc())
    if model is not None:
        query = query.where(model_versions.c.model == model)
    if project is not None:
        query = query.where(model_versions.c.project == project)
    if status is not None:
        query = query.where(model_versions.c.status == status)
    if text:
        places = (
            model_versions.c.model,
            model_versions.c.project,
            model_versions.c.created_by,
            text_within(connection, model_versions.c.card, "lineage", "question"),
        )
        query = query.where(or_(*(place.icontains(text, autoescape=True) for place in places)))
    return [from_row(row, ModelVersion) for row in connection.execute(query.offset(offset).limit(limit)).mappings()]


def put_alias(connection: Connection, alias: Alias) -> None:
    """Points the alias to the version, wherever it pointed before."""
    _PUT_ALIAS.into(connection, [to_row(alias)])


def remove_alias(connection: Connection, model: str, alias: str) -> bool:
    """Takes the alias away; whether it was there."""
    query = delete(model_aliases).where(model_aliases.c.model == model, model_aliases.c.alias == alias)
    return connection.execute(query).rowcount > 0


def find_alias(connection: Connection, model: str, alias: str) -> Alias | None:
    """Where the alias points."""
    query = select(model_aliases).where(model_aliases.c.model == model, model_aliases.c.alias == alias)
    row = connection.execute(query).mappings().first()
    return from_row(row, Alias) if row else None


def aliases_of(connection: Connection, version_ids: list[str]) -> dict[str, tuple[str, ...]]:
    """The aliases of each of these versions, in order."""
    query = select(model_aliases.c.version_id, model_aliases.c.alias).order_by(model_aliases.c.alias)
    found: dict[str, tuple[str, ...]] = dict.fromkeys(version_ids, ())
    for row in connection.execute(query.where(model_aliases.c.version_id.in_(version_ids))):
        found[row.version_id] = (*found[row.version_id], row.alias)
    return found
