"""Rows of registered models, of their versions and of the tags of both."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, tuple_, update

from kept.registry.records.versions import aliases_of
from kept.registry.registered import RegisteredModel, RegisteredVersion, Stage
from kept.store.rows import from_row, to_row
from kept.store.schema import (
    model_aliases,
    registered_model_tags,
    registered_models,
    registered_version_tags,
    registered_versions,
)
from kept.store.upsert import Upsert

_TOUCH_MODEL = Upsert(registered_models, overwrite=["updated_at"])
_SET_MODEL_TAG = Upsert(registered_model_tags, overwrite=["value"])
_SET_VERSION_TAG = Upsert(registered_version_tags, overwrite=["value"])
_PIECE = 500


def ensure_model(connection: Connection, name: str, at: datetime) -> None:
    """Adds the model when it is not there, and notes that it changed."""
    _TOUCH_MODEL.into(connection, [{"name": name, "description": "", "created_at": at, "updated_at": at}])


def insert_model(connection: Connection, model: RegisteredModel) -> None:
    """Adds a model with its tags."""
    beside = ("tags", "aliases", "latest")
    row = {name: value for name, value in to_row(model).items() if name not in beside}
    connection.execute(insert(registered_models).values(**row))
    put_model_tags(connection, model.name, model.tags)


def has_model(connection: Connection, name: str) -> bool:
    """Whether there is such a model."""
    query = select(registered_models.c.name).where(registered_models.c.name == name)
    return connection.execute(query).first() is not None


def model_by_name(connection: Connection, name: str) -> RegisteredModel | None:
    """The model with its tags, its aliases and the newest version of each stage."""
    rows = connection.execute(select(registered_models).where(registered_models.c.name == name)).mappings().all()
    return models_from(connection, rows)[0] if rows else None


def change_model(connection: Connection, model: str, at: datetime, **changes: Any) -> None:
    """Changes columns of a model."""
    connection.execute(
        update(registered_models).where(registered_models.c.name == model).values(updated_at=at, **changes)
    )


def rename_model(connection: Connection, name: str, new_name: str, at: datetime) -> None:
    """Gives a model another name wherever it stands in the tables of the registry."""
    change_model(connection, name, at, name=new_name)
    for table in (registered_model_tags, registered_versions, registered_version_tags, model_aliases):
        connection.execute(update(table).where(table.c.model == name).values(model=new_name))
    query = update(registered_versions).where(registered_versions.c.model == new_name)
    connection.execute(query.values(updated_at=at))


def delete_model(connection: Connection, name: str) -> None:
    """Removes a model with all that belongs to it."""
    connection.execute(delete(registered_models).where(registered_models.c.name == name))
    for table in (registered_model_tags, registered_versions, registered_version_tags, model_aliases):
        connection.execute(delete(table).where(table.c.model == name))


def has_judged(connection: Connection, model: str) -> bool:
    """Whether a version of the model was judged."""
    query = select(registered_versions.c.id).where(registered_versions.c.model == model, registered_versions.c.judged)
    return connection.execute(query.limit(1)).first() is not None


def put_model_tags(connection: Connection, model: str, tags: Mapping[str, str]) -> None:
    """Sets tags of a model."""
    _SET_MODEL_TAG.into(connection, [{"model": model, "name": name, "value": value} for name, value in tags.items()])


def delete_model_tag(connection: Connection, model: str, name: str) -> None:
    """Removes a tag of a model, when it is there."""
    tags = registered_model_tags
    connection.execute(delete(tags).where(tags.c.model == model, tags.c.name == name))


def insert_registered(connection: Connection, version: RegisteredVersion) -> None:
    """Adds a version with its tags."""
    row = {name: value for name, value in to_row(version).items() if name not in {"tags", "aliases"}}
    connection.execute(insert(registered_versions).values(**row, lifecycle="active"))
    put_version_tags(connection, version.model, version.number, version.tags)


def next_number(connection: Connection, model: str) -> int:
    """The number that the model's next version has. Call it in the transaction that inserts the version."""
    query = select(func.max(registered_versions.c.number)).where(registered_versions.c.model == model)
    return int(connection.execute(query).scalar() or 0) + 1


def has_number(connection: Connection, model: str, number: int) -> bool:
    """Whether a version of the model has the number, or had it."""
    versions = registered_versions.c
    query = select(versions.id).where(versions.model == model, versions.number == number)
    return connection.execute(query).first() is not None


def newest_registered(connection: Connection, model: str) -> RegisteredVersion | None:
    """The version with the largest number."""
    versions = registered_versions.c
    query = select(registered_versions).where(versions.model == model, versions.lifecycle == "active")
    rows = connection.execute(query.order_by(versions.number.desc()).limit(1)).mappings().all()
    return versions_from(connection, rows)[0] if rows else None


def registered_by_number(connection: Connection, model: str, number: int) -> RegisteredVersion | None:
    """The version of this model and number."""
    versions = registered_versions.c
    query = select(registered_versions).where(
        versions.model == model, versions.number == number, versions.lifecycle == "active"
    )
    rows = connection.execute(query).mappings().all()
    return versions_from(connection, rows)[0] if rows else None


def registered_by_id(connection: Connection, version_id: str) -> RegisteredVersion | None:
    """The version of this id."""
    versions = registered_versions.c
    query = select(registered_versions).where(versions.id == version_id, versions.lifecycle == "active")
    rows = connection.execute(query).mappings().all()
    return versions_from(connection, rows)[0] if rows else None


def change_version(connection: Connection, model: str, number: int, at: datetime, **changes: Any) -> None:
    """Changes columns of a version."""
    versions = registered_versions.c
    query = update(registered_versions).where(versions.model == model, versions.number == number)
    connection.execute(query.values(updated_at=at, **changes))


def archive_others(connection: Connection, model: str, number: int, stage: Stage, at: datetime) -> None:
    """Archives the versions of a stage but this one."""
    versions = registered_versions.c
    query = update(registered_versions).where(
        versions.model == model, versions.number != number, versions.stage == stage, versions.lifecycle == "active"
    )
    connection.execute(query.values(stage=Stage.ARCHIVED.value, updated_at=at))


def remove_version(connection: Connection, version: RegisteredVersion, at: datetime) -> None:
    """Removes a version with its tags and aliases; the row stays without content, so that its number is not given again."""
    change_version(
        connection, version.model, version.number, at,
        lifecycle="deleted", source="", location="", run_id=None, run_link=None, logged_model=None, description="",
    )  # fmt: skip
    connection.execute(delete(model_aliases).where(model_aliases.c.version_id == version.id))
    tags = registered_version_tags
    connection.execute(delete(tags).where(tags.c.model == version.model, tags.c.number == version.number))


def put_version_tags(connection: Connection, model: str, number: int, tags: Mapping[str, str]) -> None:
    """Sets tags of a version."""
    rows = [{"model": model, "number": number, "name": name, "value": value} for name, value in tags.items()]
    _SET_VERSION_TAG.into(connection, rows)


def delete_version_tag(connection: Connection, model: str, number: int, name: str) -> None:
    """Removes a tag of a version, when it is there."""
    tags = registered_version_tags
    query = delete(tags).where(tags.c.model == model, tags.c.number == number, tags.c.name == name)
    connection.execute(query)


def versions_from(connection: Connection, rows: Sequence[RowMapping]) -> list[RegisteredVersion]:
    """The versions of rows of the table, with their tags and aliases."""
    tags: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    aliases: dict[str, tuple[str, ...]] = {}
    table = registered_version_tags.c
    for some in _pieces(rows):
        keys = [(str(row["model"]), int(row["number"])) for row in some]
        query = select(registered_version_tags).where(tuple_(table.model, table.number).in_(keys))
        for model, number, name, value in connection.execute(query.order_by(table.name)):
            tags[model, number][name] = value
        aliases |= aliases_of(connection, [str(row["id"]) for row in some])
    return [
        from_row(
            {**row, "tags": dict(tags[row["model"], row["number"]]), "aliases": aliases[row["id"]]}, RegisteredVersion
        )
        for row in rows
    ]


def models_from(connection: Connection, rows: Sequence[RowMapping]) -> list[RegisteredModel]:
    """The models of rows of the table, with their tags, their aliases and the newest version of each stage."""
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    aliases: dict[str, dict[str, int]] = defaultdict(dict)
    latest: dict[str, list[RegisteredVersion]] = defaultdict(list)
    for some in _pieces(rows):
        names = [str(row["name"]) for row in some]
        tag = registered_model_tags.c
        query = select(registered_model_tags).where(tag.model.in_(names)).order_by(tag.name)
        for model, name, value in connection.execute(query):
            tags[model][name] = value
        alias = model_aliases.c
        pointing = select(alias.model, alias.alias, registered_versions.c.number).join(
            registered_versions, registered_versions.c.id == alias.version_id
        )
        for model, name, number in connection.execute(pointing.where(alias.model.in_(names)).order_by(alias.alias)):
            aliases[model][name] = number
        for version in versions_from(connection, _latest_rows(connection, names)):
            latest[version.model].append(version)
    return [
        from_row(
            {
                **row,
                "tags": tags[row["name"]],
                "aliases": aliases[row["name"]],
                "latest": tuple(latest[row["name"]]),
            },
            RegisteredModel,
        )
        for row in rows
    ]


def _latest_rows(connection: Connection, names: list[str]) -> Sequence[RowMapping]:
    versions = registered_versions.c
    newest = select(versions.model, func.max(versions.number)).where(
        versions.model.in_(names), versions.lifecycle == "active"
    )
    keys = newest.group_by(versions.model, versions.stage)
    query = select(registered_versions).where(tuple_(versions.model, versions.number).in_(keys))
    return connection.execute(query.order_by(versions.model, versions.number)).mappings().all()


def _pieces(rows: Sequence[RowMapping]) -> Iterable[Sequence[RowMapping]]:
    return (rows[start : start + _PIECE] for start in range(0, len(rows), _PIECE))
