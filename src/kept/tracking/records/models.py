"""Rows of logged models."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from kept.store.rows import from_row, to_row
from kept.store.schema import logged_model_params, logged_model_points, logged_model_tags, logged_models
from kept.store.upsert import Upsert
from kept.tracking.logged_model import LoggedModel
from kept.tracking.points import Point, RunPoint
from kept.tracking.records.keys import pieces

_SET_TAG = Upsert(logged_model_tags, overwrite=["value"])
_SET_PARAM = Upsert(logged_model_params, overwrite=["value"])
_ADD_POINT = Upsert(logged_model_points)
_BESIDE = ("tags", "params", "metrics")


def insert_model(connection: Connection, model: LoggedModel) -> None:
    """Adds a logged model with its tags and parameters."""
    row = {name: value for name, value in to_row(model).items() if name not in _BESIDE}
    connection.execute(insert(logged_models).values(**row | {"experiment": int(model.experiment)}))
    put_model_tags(connection, model.id, model.tags)
    put_model_params(connection, model.id, model.params)


def model_by_id(connection: Connection, model: str) -> LoggedModel | None:
    """The logged model, deleted or not, or None."""
    rows = connection.execute(select(logged_models).where(logged_models.c.id == model)).mappings().all()
    return models_from(connection, rows)[0] if rows else None


def known_models(connection: Connection, models: Iterable[str]) -> set[str]:
    """Those of these ids that logged models have, deleted ones too."""
    found: set[str] = set()
    for some in pieces(list(models)):
        found.update(connection.execute(select(logged_models.c.id).where(logged_models.c.id.in_(some))).scalars())
    return found


def params_of_model(connection: Connection, model: str) -> dict[str, str]:
    """The parameters of a logged model."""
    query = select(logged_model_params.c.name, logged_model_params.c.value)
    return {row.name: row.value for row in connection.execute(query.where(logged_model_params.c.model == model))}


def change_model(connection: Connection, model: str, at: datetime, **changes: Any) -> None:
    """Changes columns of a logged model."""
    connection.execute(update(logged_models).where(logged_models.c.id == model).values(updated_at=at, **changes))


def put_model_tags(connection: Connection, model: str, tags: Mapping[str, str]) -> None:
    """Sets tags; the last value of a name wins."""
    _SET_TAG.into(connection, _rows(model, tags))


def put_model_params(connection: Connection, model: str, params: Mapping[str, str]) -> None:
    """Sets parameters; the last value of a name wins."""
    _SET_PARAM.into(connection, _rows(model, params))


def delete_model_tag(connection: Connection, model: str, name: str) -> bool:
    """Removes a tag; whether there was one."""
    query = delete(logged_model_tags)
    query = query.where(logged_model_tags.c.model == model, logged_model_tags.c.name == name)
    return connection.execute(query).rowcount == 1


def put_model_points(connection: Connection, run_id: str, logged: Sequence[Point]) -> None:
    """Adds points that a run measured on logged models; one of the same time and step is left."""
    rows = {
        (point.model, point.name, point.at, point.step): {
            "model": point.model,
            "name": point.name,
            "at": point.at,
            "step": point.step,
            "run": run_id,
            "nan": int(math.isnan(point.value)),
            "value": 0.0 if math.isnan(point.value) else point.value,
            "dataset_name": point.dataset_name,
            "dataset_digest": point.dataset_digest,
        }
        for point in reversed(logged)
    }
    _ADD_POINT.into(connection, list(rows.values()))


def models_from(connection: Connection, rows: Sequence[RowMapping]) -> list[LoggedModel]:
    """The logged models of rows of the table, with their tags, parameters and points."""
    beside: dict[str, dict[str, Any]] = defaultdict(lambda: {"tags": {}, "params": {}, "metrics": []})
    for some in pieces([str(row["id"]) for row in rows]):
        for field, table in (("tags", logged_model_tags), ("params", logged_model_params)):
            values = select(table).where(table.c.model.in_(some)).order_by(table.c.name)
            for model, name, value in connection.execute(values):
                beside[model][field][name] = value
        points = select(logged_model_points).where(logged_model_points.c.model.in_(some))
        for row in connection.execute(points.order_by(*logged_model_points.primary_key)):
            point = Point(
                name=row.name,
                value=math.nan if row.nan else row.value,
                at=row.at,
                step=row.step,
                model=row.model,
                dataset_name=row.dataset_name,
                dataset_digest=row.dataset_digest,
            )
            beside[row.model]["metrics"].append(RunPoint(run=row.run, point=point))
    return [from_row({**row, "experiment": str(row["experiment"]), **beside[row["id"]]}, LoggedModel) for row in rows]


def _rows(model: str, values: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"model": model, "name": name, "value": value} for name, value in values.items()]
