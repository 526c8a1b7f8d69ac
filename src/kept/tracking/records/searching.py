"""Searches of runs and experiments as queries.

What is looked for among parameters, tags and metrics becomes a set of runs, found once in the part of the table that
belongs to the experiment and the name; the rows are then read in the order asked for, until a page is full. So a
search costs what it asks for, whatever else the experiment and the workspace hold.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    Select,
    SQLColumnExpression,
    and_,
    case,
    exists,
    func,
    not_,
    or_,
    select,
    true,
)

from kept.store.schema import (
    datasets,
    experiment_tags,
    experiments,
    metrics,
    run_datasets,
    run_params,
    run_tags,
    runs,
)
from kept.tracking.experiment import Lifecycle
from kept.tracking.filtering import Kind, Order, Term
from kept.tracking.grammar import experiment_numbers
from kept.tracking.records.comparing import compared, directed, number_of, timed
from kept.tracking.run import SORTED_STATUSES, RunStatus

_BY_NAME = {Kind.PARAM: run_params, Kind.TAG: run_tags}
_RUN_TEXTS: dict[str, SQLColumnExpression[Any]] = {
    "artifact_uri": runs.c.artifact_location,
    "kind": runs.c.kind,
    "parent": runs.c.parent,
    "project": runs.c.project,
    "run_id": runs.c.id,
    "run_name": runs.c.name,
    "status": runs.c.status,
    "user_id": runs.c.user,
}
_RUN_TIMES: dict[str, SQLColumnExpression[Any]] = {"start_time": runs.c.started_at, "end_time": runs.c.ended_at}
_STATUS_PLACE = case(
    {status.value: place for place, status in enumerate(SORTED_STATUSES)}, value=runs.c.status, else_=len(RunStatus)
)
_EXPERIMENT_TIMES: dict[str, SQLColumnExpression[Any]] = {
    "creation_time": experiments.c.created_at,
    "last_update_time": experiments.c.updated_at,
}


def search_run_rows(
    connection: Connection,
    experiment_ids: Sequence[int],
    terms: Sequence[Term],
    orders: Sequence[Order],
    lifecycles: Sequence[Lifecycle],
    *,
    offset: int,
    limit: int,
) -> Sequence[RowMapping]:
    """Rows of runs that fit, sorted by the keys, then by start, latest first, then by id."""
    if orders and orders[0].kind is Kind.METRIC:
        return _by_metric(connection, experiment_ids, terms, orders, lifecycles, offset, limit)
    query = _whole(select(runs), experiment_ids, terms, lifecycles).order_by(*_sorting(orders))
    return connection.execute(query.offset(offset).limit(limit)).mappings().all()


def _by_metric(
    connection: Connection,
    experiment_ids: Sequence[int],
    terms: Sequence[Term],
    orders: Sequence[Order],
    lifecycles: Sequence[Lifecycle],
    offset: int,
    limit: int,
) -> Sequence[RowMapping]:
    """First the runs whose value is a number, in the order of the index; then not a number; then without a value."""
    first, *others = orders
    same = [term for term in terms if term.kind is Kind.METRIC and term.name == first.name]
    rest = [term for term in terms if term not in same]
    direction = metrics.c.value.asc() if first.ascending else metrics.c.value.desc()
    having = and_(metrics.c.experiment.in_(experiment_ids), metrics.c.name == first.name)
    joined = select(runs).join(metrics, metrics.c.run == runs.c.number).where(having)
    number, no_number = _numbers(same)
    sorted_ = [direction, *_sorting(others)]
    # The metric names the experiment already. Named of the run too, a database that knows nothing yet of how much there
    # is would read all runs of the experiment for each value.
    fitting = _fitting(joined, experiment_ids, rest, lifecycles, number=metrics.c.run)
    streams: list[Select[Any]] = [fitting.where(metrics.c.nan == 0, *number).order_by(*sorted_)]
    if no_number:
        streams.append(fitting.where(metrics.c.nan == 1).order_by(*sorted_[1:]))
    if not same:
        without = runs.c.number + 0
        query = select(runs).where(without.not_in(select(metrics.c.run).where(having)))
        streams.append(_whole(query, experiment_ids, rest, lifecycles).order_by(*sorted_[1:]))
    found: list[RowMapping] = []
    for position, query in enumerate(streams):
        rows = connection.execute(query.offset(offset).limit(limit - len(found))).mappings().all()
        found += rows
        if len(found) == limit:
            break
        if rows:
            offset = 0
        elif offset and position + 1 < len(streams):
            counted = query.order_by(None).with_only_columns(func.count())
            offset -= int(connection.execute(counted).scalar_one())
    return found


def _numbers(terms: Sequence[Term]) -> tuple[list[ColumnElement[bool]], bool]:
    """The terms of one metric as conditions on its number, and whether what is not a number fits them too."""
    conditions = [compared(metrics.c.value, term.comparator, number_of(term)) for term in terms]
    return conditions, all(term.comparator == "!=" for term in terms)


def _whole(
    query: Select[Any],
    experiment_ids: Sequence[int],
    terms: Sequence[Term],
    lifecycles: Sequence[Lifecycle],
) -> Select[Any]:
    within = query.where(runs.c.experiment.in_(experiment_ids))
    return _fitting(within, experiment_ids, terms, lifecycles, number=runs.c.number)


def _fitting(
    query: Select[Any],
    experiment_ids: Sequence[int],
    terms: Sequence[Term],
    lifecycles: Sequence[Lifecycle],
    *,
    number: SQLColumnExpression[int],
) -> Select[Any]:
    # The sum keeps the database from looking each run of a set up: it walks in the order asked for and tests.
    tested = number + 0
    query = query.where(runs.c.lifecycle.in_([lifecycle.value for lifecycle in lifecycles]))
    return query.where(*(_condition(term, experiment_ids, tested) for term in terms))


def _condition(term: Term, experiment_ids: Sequence[int], number: ColumnElement[int]) -> ColumnElement[bool]:
    if term.kind is Kind.ATTRIBUTE:
        if term.name in _RUN_TIMES:
            return timed(_RUN_TIMES[term.name], term)
        return compared(_RUN_TEXTS[term.name], term.comparator, term.value)
    if term.kind is Kind.DATASET:
        column = run_datasets.c.context if term.name == "context" else datasets.c[term.name]
        read = select(run_datasets.c.run).join(datasets, datasets.c.id == run_datasets.c.dataset)
        read = read.where(datasets.c.experiment.in_(experiment_ids), compared(column, term.comparator, term.value))
        return _among(number, read)
    table: FromClause = metrics if term.kind is Kind.METRIC else _BY_NAME[term.kind]
    named = select(table.c.run).where(table.c.experiment.in_(experiment_ids), table.c.name == term.name)
    if term.comparator == "IS NULL":
        return number.not_in(named)
    if term.kind is Kind.METRIC:
        conditions, no_number = _numbers([term])
        fits = or_(metrics.c.nan == 1, *conditions) if no_number else and_(metrics.c.nan == 0, *conditions)
        named = named.where(fits)
    elif term.comparator != "IS NOT NULL":
        named = named.where(compared(table.c.value, term.comparator, term.value))
    return _among(number, named)


def _among(number: ColumnElement[int], found: Select[Any]) -> ColumnElement[bool]:
    # Asked whether it is true, PostgreSQL finds the set once and keeps it; left alone it may choose to look for every
    # run anew, by an estimate of how many there are.
    return number.in_(found).is_(true())


def _sorting(orders: Sequence[Order]) -> list[ColumnElement[Any]]:
    keys: list[ColumnElement[Any]] = []
    for order in orders:
        if order.kind is Kind.METRIC:
            alone = metrics.alias()
            this = and_(alone.c.run == runs.c.number, alone.c.name == order.name)
            keys.append(func.coalesce(select(alone.c.nan).where(this).scalar_subquery(), 2))
            keys.append(directed(select(alone.c.value).where(this).scalar_subquery(), order.ascending))
        elif order.kind is Kind.ATTRIBUTE:
            column = {**_RUN_TEXTS, **_RUN_TIMES, "status": _STATUS_PLACE}[order.name]
            keys.append(directed(column, order.ascending))
        else:
            table = _BY_NAME[order.kind].alias()
            value = select(table.c.value).where(
                table.c.experiment == runs.c.experiment, table.c.name == order.name, table.c.run == runs.c.number
            )
            keys.append(directed(value.scalar_subquery(), order.ascending))
    if not any(order.kind is Kind.ATTRIBUTE and order.name == "start_time" for order in orders):
        keys.append(runs.c.started_at.desc().nulls_last())
    keys.append(runs.c.id.asc())
    return keys


def search_experiment_rows(
    connection: Connection,
    terms: Sequence[Term],
    orders: Sequence[Order],
    lifecycles: Sequence[Lifecycle],
    *,
    offset: int,
    limit: int,
) -> Sequence[RowMapping]:
    """Rows of experiments that fit, newest first unless ordered otherwise."""
    query = select(experiments).where(experiments.c.lifecycle.in_([lifecycle.value for lifecycle in lifecycles]))
    query = query.where(*(_experiment_condition(term) for term in terms))
    columns: Mapping[str, SQLColumnExpression[Any]] = {
        **_EXPERIMENT_TIMES,
        "name": experiments.c.name,
        "experiment_id": experiments.c.id,
    }
    keys = [directed(columns[order.name], order.ascending) for order in orders]
    if not orders:
        keys = [experiments.c.created_at.desc(), experiments.c.id.asc()]
    elif all(order.name != "experiment_id" for order in orders):
        keys.append(experiments.c.id.desc())
    return connection.execute(query.order_by(*keys).offset(offset).limit(limit)).mappings().all()


def _experiment_condition(term: Term) -> ColumnElement[bool]:
    if term.kind is Kind.TAG:
        tag = select(experiment_tags.c.name).where(
            experiment_tags.c.experiment == experiments.c.id, experiment_tags.c.name == term.name
        )
        if term.comparator == "IS NULL":
            return not_(exists(tag))
        if term.comparator != "IS NOT NULL":
            tag = tag.where(compared(experiment_tags.c.value, term.comparator, term.value))
        return exists(tag)
    if term.name in _EXPERIMENT_TIMES:
        return timed(_EXPERIMENT_TIMES[term.name], term)
    if term.name == "experiment_id":
        numbers = experiment_numbers(term.value if isinstance(term.value, list) else [str(term.value)])
        return compared(experiments.c.id, "IN" if term.comparator in {"=", "IN"} else "NOT IN", numbers)
    return compared(experiments.c.name, term.comparator, term.value)
