"""Rows of experiments and their tags."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, bindparam, delete, insert, select, update

from kept.store.rows import from_row
from kept.store.schema import experiment_tags, experiments, runs
from kept.store.upsert import Upsert
from kept.tracking.experiment import Experiment, Lifecycle
from kept.tracking.records.keys import pieces

_SET_TAG = Upsert(experiment_tags, overwrite=["value"])
_NUMBER_DIGITS = 18
_BY_ID = select(experiments).where(experiments.c.id == bindparam("id"))
_BY_NAME = select(experiments).where(experiments.c.name == bindparam("name"))
_TAGS = (
    select(experiment_tags)
    .where(experiment_tags.c.experiment.in_(bindparam("experiments", expanding=True)))
    .order_by(experiment_tags.c.name)
)


def insert_experiment(
    connection: Connection,
    *,
    name: str,
    location: str,
    tags: Mapping[str, str],
    at: datetime,
    number: int | None = None,
) -> Experiment:
    """Adds an experiment, whose id is the next unless told; `{experiment}` in its location becomes the id."""
    values: dict[str, Any] = {"name": name, "lifecycle": Lifecycle.ACTIVE.value, "created_at": at, "updated_at": at}
    if number is not None:
        values["id"] = number
    query = insert(experiments).values(artifact_location="", **values).returning(experiments.c.id)
    number = connection.execute(query).scalar_one()
    settled = location.replace("{experiment}", str(number))
    connection.execute(update(experiments).where(experiments.c.id == number).values(artifact_location=settled))
    set_experiment_tags(connection, number, tags)
    return _experiment(connection, _BY_ID, id=number)  # type: ignore[return-value]


def experiment_by_id(connection: Connection, experiment: str) -> Experiment | None:
    """The experiment, or None."""
    if not experiment.isascii() or not experiment.isdigit() or len(experiment) > _NUMBER_DIGITS:
        return None
    return _experiment(connection, _BY_ID, id=int(experiment))


def experiment_by_name(connection: Connection, name: str) -> Experiment | None:
    """The experiment, deleted or not, or None."""
    return _experiment(connection, _BY_NAME, name=name)


def experiment_names(connection: Connection) -> dict[str, str]:
    """The names of experiments that are not deleted, by id."""
    query = select(experiments.c.id, experiments.c.name).where(experiments.c.lifecycle == Lifecycle.ACTIVE.value)
    return {str(row.id): row.name for row in connection.execute(query.order_by(experiments.c.id))}


def change_experiment(connection: Connection, experiment: int, **changes: Any) -> None:
    """Changes columns of an experiment."""
    connection.execute(update(experiments).where(experiments.c.id == experiment).values(**changes))


def set_runs_lifecycle(connection: Connection, experiment: int, lifecycle: Lifecycle, at: datetime | None) -> None:
    """Deletes or restores all runs of an experiment."""
    query = update(runs).where(runs.c.experiment == experiment)
    connection.execute(query.values(lifecycle=lifecycle.value, deleted_at=at))


def set_experiment_tags(connection: Connection, experiment: int, tags: Mapping[str, str]) -> None:
    """Sets tags; the last value of a name wins."""
    rows = [{"experiment": experiment, "name": name, "value": value} for name, value in tags.items()]
    _SET_TAG.into(connection, rows)


def delete_experiment_tag(connection: Connection, experiment: int, name: str) -> bool:
    """Removes a tag; whether there was one."""
    query = delete(experiment_tags)
    query = query.where(experiment_tags.c.experiment == experiment, experiment_tags.c.name == name)
    return connection.execute(query).rowcount == 1


def experiments_from(connection: Connection, rows: Sequence[RowMapping]) -> list[Experiment]:
    """The experiments of rows of the table, with their tags."""
    tags: dict[int, dict[str, str]] = defaultdict(dict)
    for some in pieces([row["id"] for row in rows]):
        for number, name, value in connection.execute(_TAGS, {"experiments": some}):
            tags[number][name] = value
    return [from_row({**row, "id": str(row["id"]), "tags": tags[row["id"]]}, Experiment) for row in rows]


def _experiment(connection: Connection, query: Select[Any], **asked: Any) -> Experiment | None:
    found = experiments_from(connection, connection.execute(query, asked).mappings().all())
    return found[0] if found else None
