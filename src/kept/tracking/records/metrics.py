"""Rows of metrics: every point once in the order of its history, and the latest point of each metric of a run.

Where order matters a value that is not a number counts as 0, and comes after the number 0.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ARRAY, Connection, Text, any_, bindparam, delete, select, update

from kept.store.schema import metrics, points
from kept.tracking.points import Point, RunPoint
from kept.tracking.records.keys import RunKey, pieces
from kept.tracking.records.series import Latest, insert_points, insert_series, move_series

_MANY_NAMES = 500
_LATEST = (metrics.c.series, metrics.c.name, metrics.c.step, metrics.c.at, metrics.c.value, metrics.c.nan)
_SERIES = select(*_LATEST).where(
    metrics.c.run == bindparam("run"), metrics.c.name.in_(bindparam("names", expanding=True))
)
# An array is one value to bind; a thousand names as a thousand values take longer to write out than to look up.
_SERIES_IN_ARRAY = select(*_LATEST).where(
    metrics.c.run == bindparam("run"), metrics.c.name == any_(bindparam("names", type_=ARRAY(Text)))
)
_ONE_SERIES = select(*_LATEST).where(metrics.c.run == bindparam("run"), metrics.c.name == bindparam("name"))
_OF_RUNS = (
    select(metrics.c.run, metrics.c.name, metrics.c.value, metrics.c.nan, metrics.c.at, metrics.c.step)
    .where(metrics.c.run.in_(bindparam("runs", expanding=True)))
    .order_by(metrics.c.run, metrics.c.name)
)
_HISTORY = (
    select(points.c.at, points.c.step, points.c.value, points.c.nan)
    .select_from(metrics.join(points, points.c.series == metrics.c.series))
    .where(metrics.c.run == bindparam("run"), metrics.c.name == bindparam("name"))
)
_IN_TIME = (points.c.at, points.c.step, points.c.value, points.c.nan)
_IN_STEPS = (points.c.step, points.c.at, points.c.value, points.c.nan)


def put_points(connection: Connection, run: RunKey, logged: Sequence[Point]) -> None:
    """Adds points to a run and moves its latest ones; a point that is there already is left."""
    if not logged:
        return
    rows: list[tuple[str, Latest]] = []
    newest: dict[str, Latest] = {}
    for point in logged:
        nan = math.isnan(point.value)
        latest = (point.step, point.at, 0.0 if nan else point.value, int(nan))
        rows.append((point.name, latest))
        held = newest.get(point.name)
        if held is None or latest[:3] > held[:3]:
            newest[point.name] = latest
    series = _settle(connection, run, newest)
    if len(rows) > 1:
        rows = list(dict.fromkeys(rows))
    insert_points(connection, [(series[name], at, step, value, nan) for name, (step, at, value, nan) in rows])


def replace_points(connection: Connection, run: RunKey, logged: Sequence[Point]) -> None:
    """Adds points in place of those that the run has at the same name and step."""
    for point in logged:
        row = connection.execute(_ONE_SERIES, {"run": run.number, "name": point.name}).first()
        if row is not None:
            connection.execute(delete(points).where(points.c.series == row.series, points.c.step == point.step))
            if row.step == point.step:
                connection.execute(update(metrics).where(metrics.c.series == row.series).values(at=-1))
    put_points(connection, run, logged)


def latest_of(connection: Connection, numbers: Sequence[int]) -> dict[int, list[Point]]:
    """The latest point of each metric by name, of each run that has any."""
    found: dict[int, list[Point]] = defaultdict(list)
    for some in pieces(numbers):
        for run, name, value, nan, at, step in connection.execute(_OF_RUNS, {"runs": some}):
            found[run].append(Point(name=name, value=math.nan if nan else value, at=at, step=step))
    return found


def history(connection: Connection, run: int, name: str, *, offset: int = 0, limit: int | None = None) -> list[Point]:
    """Points of a metric of a run, by time, step and value."""
    query = _HISTORY.order_by(*_IN_TIME).offset(offset).limit(limit)
    return list(_points(name, connection.execute(query, {"run": run, "name": name})))


def history_of_runs(connection: Connection, runs: Iterable[tuple[str, int]], name: str, limit: int) -> list[RunPoint]:
    """Points of a metric of several runs (id, number), by id of the run, time, step and value."""
    found: list[RunPoint] = []
    for run_id, number in sorted(runs):
        if len(found) >= limit:
            break
        found += [
            RunPoint(run=run_id, point=point) for point in history(connection, number, name, limit=limit - len(found))
        ]
    return found


def sampled(connection: Connection, run: int, name: str, most: int, first: int | None, last: int | None) -> list[Point]:
    """At most so many points of a metric of a run, evenly chosen in the order of steps, with the first and the last."""
    query = _HISTORY.order_by(*_IN_STEPS)
    if first is not None and last is not None:
        query = query.where(points.c.step.between(first, last))
    rows = connection.execute(query, {"run": run, "name": name}).all()
    if len(rows) > most:
        # The first of each of so many buckets, of which the foremost hold one more where they can not be equal.
        size, larger = divmod(len(rows), most)
        rows = [*(rows[n * size + min(n, larger)] for n in range(most - 1)), rows[-1]]
    return list(_points(name, rows))


def _settle(connection: Connection, run: RunKey, newest: dict[str, Latest]) -> dict[str, int]:
    """Makes the newest points the latest where they are later, and gives the series of each name."""
    known = {row.name: row for row in _known(connection, run, list(newest))}
    series = {name: int(row.series) for name, row in known.items()}
    new = {(run.number, name): latest for name, latest in newest.items() if name not in known}
    moved = {
        series[name]: latest
        for name, latest in newest.items()
        if (row := known.get(name)) is not None and latest[:3] > (row.step, row.at, row.value)
    }
    made = insert_series(connection, new, {run.number: run.experiment})
    move_series(connection, moved)
    return series | {name: number for (_, name), number in made.items()}


def _known(connection: Connection, run: RunKey, names: list[str]) -> Iterator[Any]:
    if len(names) == 1:
        yield from connection.execute(_ONE_SERIES, {"run": run.number, "name": names[0]})
        return
    if connection.dialect.name == "postgresql":
        yield from connection.execute(_SERIES_IN_ARRAY, {"run": run.number, "names": names})
        return
    for some in pieces(names, _MANY_NAMES):
        yield from connection.execute(_SERIES, {"run": run.number, "names": some})


def _points(name: str, rows: Iterable[Any]) -> Iterator[Point]:
    for at, step, value, nan in rows:
        yield Point(name=name, value=math.nan if nan else value, at=at, step=step)
