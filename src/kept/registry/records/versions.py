"""Rows of judged versions and of aliases."""

from sqlalchemy import Connection, delete, insert, select

from kept.registry.version import Alias, ModelVersion
from kept.store.rows import from_row, to_row
from kept.store.schema import model_aliases, model_versions
from kept.store.upsert import Upsert

_PUT_ALIAS = Upsert(model_aliases, overwrite=["version_id", "set_by", "set_at"])


def insert_version(connection: Connection, version: ModelVersion) -> None:
    """Adds a version."""
    connection.execute(insert(model_versions).values(**to_row(version)))


def version_of_run(connection: Connection, model: str, run_id: str) -> ModelVersion | None:
    """The version of this model that a run registered."""
    query = select(model_versions).where(model_versions.c.model == model, model_versions.c.run_id == run_id)
    row = connection.execute(query).mappings().first()
    return from_row(row, ModelVersion) if row else None


def models_of_run(connection: Connection, run_id: str) -> set[str]:
    """The models of which a run registered versions."""
    return set(connection.execute(select(model_versions.c.model).where(model_versions.c.run_id == run_id)).scalars())


def version_by_id(connection: Connection, version_id: str) -> ModelVersion | None:
    """The version of this id."""
    row = connection.execute(select(model_versions).where(model_versions.c.id == version_id)).mappings().first()
    return from_row(row, ModelVersion) if row else None


def versions_by_id(connection: Connection, version_ids: list[str]) -> dict[str, ModelVersion]:
    """The versions of these ids that there are."""
    rows = connection.execute(select(model_versions).where(model_versions.c.id.in_(version_ids))).mappings()
    return {row["id"]: from_row(row, ModelVersion) for row in rows}


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
