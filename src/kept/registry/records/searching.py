"""Searches of registered models and versions as queries."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, SQLColumnExpression, exists, func, select

from kept.store.schema import (
    registered_model_tags,
    registered_models,
    registered_version_tags,
    registered_versions,
)
from kept.tracking.filtering import Kind, Order, Term
from kept.tracking.records.comparing import compared

_MODELS: dict[str, SQLColumnExpression[Any]] = {
    "name": registered_models.c.name,
    "last_updated_timestamp": registered_models.c.updated_at,
}
_VERSIONS: dict[str, SQLColumnExpression[Any]] = {
    "name": registered_versions.c.model,
    "version_number": registered_versions.c.number,
    "run_id": registered_versions.c.run_id,
    "source_path": registered_versions.c.source,
    "creation_timestamp": registered_versions.c.created_at,
    "last_updated_timestamp": registered_versions.c.updated_at,
}


def search_model_rows(
    connection: Connection, terms: Sequence[Term], orders: Sequence[Order], *, offset: int, limit: int
) -> Sequence[RowMapping]:
    """Rows of models that fit, sorted by the keys, then by name."""
    query = select(registered_models)
    for term in terms:
        tag = registered_model_tags.c
        query = query.where(
            _tagged(term, tag, tag.model == registered_models.c.name)
            if term.kind is Kind.TAG
            else compared(_MODELS[term.name], term.comparator, term.value)
        )
    keys = [_directed(_MODELS[order.name], order) for order in orders]
    if all(order.name != "name" for order in orders):
        keys.append(registered_models.c.name.asc())
    return connection.execute(query.order_by(*keys).offset(offset).limit(limit)).mappings().all()


def search_version_rows(
    connection: Connection, terms: Sequence[Term], orders: Sequence[Order], *, offset: int, limit: int
) -> Sequence[RowMapping]:
    """Rows of versions that fit, sorted by the keys, then by name, then the largest number first.

    Without keys those that changed last come first.
    """
    versions = registered_versions.c
    query = select(registered_versions).where(versions.lifecycle == "active")
    for term in terms:
        tag = registered_version_tags.c
        query = query.where(
            _tagged(term, tag, tag.model == versions.model, tag.number == versions.number)
            if term.kind is Kind.TAG
            else compared(_column_of(term), term.comparator, term.value)
        )
    keys = [_directed(_VERSIONS[order.name], order) for order in orders] or [versions.updated_at.desc()]
    named = {order.name for order in orders}
    if "name" not in named:
        keys.append(versions.model.asc())
    if "version_number" not in named:
        keys.append(versions.number.desc())
    return connection.execute(query.order_by(*keys).offset(offset).limit(limit)).mappings().all()


def _column_of(term: Term) -> SQLColumnExpression[Any]:
    column = _VERSIONS[term.name]
    said = term.value if isinstance(term.value, list) else [term.value]
    # A version without a run has the empty text for one, as far as clients know.
    if term.name == "run_id" and (term.comparator in {"!=", "NOT IN"} or "" in said):
        return func.coalesce(column, "")
    return column


def _tagged(term: Term, tag: Any, *on: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists(select(tag.name).where(*on, tag.name == term.name, compared(tag.value, term.comparator, term.value)))


def _directed(column: SQLColumnExpression[Any], order: Order) -> ColumnElement[Any]:
    return column.asc() if order.ascending else column.desc()
