"""Rows of what is brought over from elsewhere, many in one go, and of what was brought."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from kept.store.rows import from_row, to_row
from kept.store.schema import imports, logged_model_points, logged_models, metrics, points, runs
from kept.store.upsert import Upsert
from kept.tracking.imported import Known, Series
from kept.tracking.records.keys import RunKey, pieces
from kept.tracking.records.series import Latest, insert_points, insert_series, move_series
from kept.tracking.records.values import put_param_rows, put_tag_rows
from kept.tracking.run import Run

_PUT = Upsert(imports, overwrite=["local", "mark", "cursor", "at"])
_POINTS = select(metrics.c.run, metrics.c.name, points.c.at, points.c.step, points.c.value, points.c.nan).select_from(
    metrics.join(points, points.c.series == metrics.c.series)
)
_FEW = 1_000
_READ_AT_ONCE = 50_000


def known_of(connection: Connection, source: str, kind: str, foreign: Iterable[str]) -> dict[str, Known]:
    """What is known of these things of a source, by what they are called there."""
    found: dict[str, Known] = {}
    for some in pieces(list(dict.fromkeys(foreign)), _FEW):
        query = _known(source).where(imports.c.kind == kind, imports.c.foreign.in_(some))
        found |= {row["foreign"]: from_row(row, Known) for row in connection.execute(query).mappings()}
    return found


def all_known(connection: Connection, source: str) -> list[Known]:
    """What is known of everything that was brought from a source."""
    return [from_row(row, Known) for row in connection.execute(_known(source)).mappings()]


def put_known(connection: Connection, source: str, things: Iterable[Known], at: Any) -> None:
    """Notes what is known of things, in the place of what was."""
    _PUT.into(connection, [{**to_row(one), "source": source, "at": at} for one in things])


def insert_runs(connection: Connection, made: Sequence[Run], params: Sequence[Mapping[str, str]]) -> dict[str, RunKey]:
    """Adds runs with their tags and parameters; what their rows call each by its id."""
    rows = []
    for run in made:
        row = to_row(run) | {"experiment": int(run.experiment)}
        del row["tags"]
        rows.append(row)
    if not rows:
        return {}
    given = connection.execute(insert(runs).returning(runs.c.id, runs.c.number, runs.c.experiment), rows)
    keys = {row.id: RunKey(row.number, row.experiment) for row in given}
    put_tag_rows(connection, [(keys[run.id], run.tags) for run in made])
    put_param_rows(connection, [(keys[run.id], values) for run, values in zip(made, params, strict=True)])
    return keys


def put_series(connection: Connection, keys: Mapping[str, RunKey], brought: Sequence[Series]) -> int:
    """Adds points and moves the latest ones; how many points were not there."""
    brought = [one for one in brought if one.at]
    numbers = _series_numbers(connection, keys, brought)
    rows: list[tuple[int, int, int, float, int]] = []
    for one in brought:
        not_numbers = [int(value != value) for value in one.value]  # noqa: PLR0124 - NaN is what is not itself
        values = [0.0 if nan else value for value, nan in zip(one.value, not_numbers, strict=True)]
        series = [numbers[keys[one.run].number, one.name]] * len(values)
        rows += zip(series, one.at, one.step, values, not_numbers, strict=True)
    return insert_points(connection, rows)


def points_of(connection: Connection, numbers: Sequence[int], name: str | None = None) -> Iterator[Sequence[Any]]:
    """The points of runs, of one metric where it is named, as rows of number of the run, name of the metric, time,
    step, value and whether not a number; many at a time.
    """
    query = _POINTS.where(metrics.c.run.in_(numbers))
    if name is not None:
        query = query.where(metrics.c.name == name)
    yield from connection.execution_options(yield_per=_READ_AT_ONCE).execute(query).partitions()


def taken_runs(connection: Connection, ids: Sequence[str]) -> dict[str, Any]:
    """Id, experiment and begin of those of these runs that are here."""
    found: dict[str, Any] = {}
    for some in pieces(ids, _FEW):
        query = select(runs.c.id, runs.c.number, runs.c.experiment, runs.c.started_at).where(runs.c.id.in_(some))
        found |= {row.id: row for row in connection.execute(query)}
    return found


def rename_run_of_models(connection: Connection, models: Sequence[str], run: str, new: str) -> None:
    """Says that logged models come from a run that is called otherwise here."""
    for table in (logged_models, logged_model_points):
        column = table.c.id if table is logged_models else table.c.model
        query = update(table).where(column.in_(models), table.c.run == run)
        connection.execute(query.values(run=new))


def _known(source: str) -> Any:
    columns = (imports.c.kind, imports.c.foreign, imports.c.local, imports.c.mark, imports.c.cursor)
    return select(*columns).where(imports.c.source == source)


def _series_numbers(
    connection: Connection, keys: Mapping[str, RunKey], brought: Sequence[Series]
) -> dict[tuple[int, str], int]:
    """The number of each series by run and name; those that are not there are made, the latest points are moved."""
    newest: dict[tuple[int, str], Latest] = {}
    for one in brought:
        place = (keys[one.run].number, one.name)
        for last in _last(one):
            if place not in newest or last[:3] > newest[place][:3]:
                newest[place] = last
    experiments = {keys[one.run].number: keys[one.run].experiment for one in brought}
    known: dict[tuple[int, str], Any] = {}
    for some in pieces(sorted(experiments), _FEW):
        columns = (metrics.c.series, metrics.c.run, metrics.c.name, metrics.c.step, metrics.c.at, metrics.c.value)
        query = select(*columns).where(metrics.c.run.in_(some))
        known |= {(row.run, row.name): row for row in connection.execute(query)}
    numbers = {place: int(row.series) for place, row in known.items()}
    new = {place: last for place, last in newest.items() if place not in known}
    moved = {
        numbers[place]: last
        for place, last in newest.items()
        if (row := known.get(place)) is not None and last[:3] > (row.step, row.at, row.value)
    }
    move_series(connection, moved)
    return numbers | insert_series(connection, new, experiments)


def _last(one: Series) -> list[tuple[int, int, float, int]]:
    if not one.at:
        return []
    # Of the largest step, time, value; what is not a number counts as 0.
    step, at, value, nan = max(
        (step, at, 0.0 if math.isnan(value) else value, int(math.isnan(value)))
        for step, at, value in _of_largest_step(one)
    )
    return [(step, at, value, nan)]


def _of_largest_step(one: Series) -> Iterator[tuple[int, int, float]]:
    largest = max(one.step)
    return ((step, at, value) for step, at, value in zip(one.step, one.at, one.value, strict=True) if step == largest)
