"""Searches of logged models as queries."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, SQLColumnExpression, and_, case, func, or_, select

from kept.store.schema import logged_model_params, logged_model_points, logged_model_tags, logged_models
from kept.tracking.experiment import Lifecycle
from kept.tracking.filtering import Kind, Order, Term
from kept.tracking.grammar import experiment_numbers
from kept.tracking.logged_model import ModelStatus
from kept.tracking.records.comparing import compared, directed, number_of, timed

_TEXTS: dict[str, SQLColumnExpression[Any]] = {
    "artifact_location": logged_models.c.artifact_location,
    "lifecycle_stage": logged_models.c.lifecycle,
    "model_id": logged_models.c.id,
    "model_type": logged_models.c.type,
    "name": logged_models.c.name,
    # A model that no run made is compared as one made by a run without a name.
    "source_run_id": func.coalesce(logged_models.c.run, ""),
    "status": logged_models.c.status,
    "status_message": logged_models.c.status_message,
}
_TIMES: dict[str, SQLColumnExpression[Any]] = {
    "creation_timestamp": logged_models.c.created_at,
    "last_updated_timestamp": logged_models.c.updated_at,
}
_PROGRESS = case({status.value: place for place, status in enumerate(ModelStatus)}, value=logged_models.c.status)
"""Statuses in the order in which a model has them."""
_BY_NAME = {Kind.PARAM: logged_model_params, Kind.TAG: logged_model_tags}


def search_model_rows(
    connection: Connection,
    experiment_ids: Sequence[int],
    terms: Sequence[Term],
    datasets: Sequence[tuple[str, str | None]],
    orders: Sequence[Order],
    *,
    offset: int,
    limit: int,
) -> Sequence[RowMapping]:
    """Rows of logged models that fit and are not deleted, sorted by the keys, then newest first, then by id.

    With datasets (names and digests) only points that were measured on one of them count.
    """
    on = [_measured_on(name, digest) for name, digest in datasets]
    query = select(logged_models).where(
        logged_models.c.lifecycle == Lifecycle.ACTIVE.value, logged_models.c.experiment.in_(experiment_ids)
    )
    query = query.where(*(_condition(term, on) for term in terms))
    if on and all(term.kind is not Kind.METRIC for term in terms):
        query = query.where(logged_models.c.id.in_(select(logged_model_points.c.model).where(or_(*on))))
    keys = [key for order in orders for key in _keys(order)]
    named = {order.name for order in orders if order.kind is Kind.ATTRIBUTE}
    if "creation_timestamp" not in named:
        keys.append(logged_models.c.created_at.desc())
    if "model_id" not in named:
        keys.append(logged_models.c.id.asc())
    return connection.execute(query.order_by(*keys).offset(offset).limit(limit)).mappings().all()


def _condition(term: Term, on: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    if term.kind is Kind.ATTRIBUTE and term.name in _TIMES:
        return timed(_TIMES[term.name], term)
    if term.kind is Kind.ATTRIBUTE and term.name == "experiment_id":
        numbers = experiment_numbers(term.value if isinstance(term.value, list) else [str(term.value)])
        return compared(logged_models.c.experiment, "IN" if term.comparator in {"=", "IN"} else "NOT IN", numbers)
    if term.kind is Kind.ATTRIBUTE:
        return compared(_TEXTS[term.name], term.comparator, term.value)
    if term.kind is Kind.METRIC:
        point = logged_model_points.c
        fits = compared(point.value, term.comparator, number_of(term))
        counts = or_(fits, point.nan == 1) if term.comparator == "!=" else and_(fits, point.nan == 0)
        measured = select(point.model).where(point.name == term.name, counts)
        if on:
            measured = measured.where(or_(*on))
        return logged_models.c.id.in_(measured)
    table = _BY_NAME[term.kind]
    having = select(table.c.model).where(table.c.name == term.name)
    return logged_models.c.id.in_(having.where(compared(table.c.value, term.comparator, term.value)))


def _keys(order: Order) -> list[ColumnElement[Any]]:
    if order.kind is Kind.ATTRIBUTE:
        columns = {**_TEXTS, **_TIMES, "experiment_id": logged_models.c.experiment, "status": _PROGRESS}
        return [directed(columns[order.name], order.ascending)]
    point = logged_model_points.alias()
    latest = select(case((point.c.nan == 1, None), else_=point.c.value)).where(
        point.c.model == logged_models.c.id, point.c.name == order.name
    )
    if order.dataset_name is not None:
        latest = latest.where(point.c.dataset_name == order.dataset_name)
    if order.dataset_digest is not None:
        latest = latest.where(point.c.dataset_digest == order.dataset_digest)
    latest = latest.order_by(point.c.at.desc(), point.c.step.desc(), point.c.run.asc()).limit(1)
    return [directed(latest.scalar_subquery(), order.ascending)]


def _measured_on(name: str, digest: str | None) -> ColumnElement[bool]:
    this = logged_model_points.c.dataset_name == name
    return this if digest is None else and_(this, logged_model_points.c.dataset_digest == digest)
