"""Bulk inserts of series and points: one statement a kind, not one a row."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, insert, text, update

from kept.store.schema import metrics, points
from kept.store.upsert import Upsert

_LATEST = ("step", "at", "value", "nan")
_NEW_ROWS = insert(metrics).returning(metrics.c.series, metrics.c.run, metrics.c.name)
_MOVED_ROWS = (
    update(metrics).where(metrics.c.series == bindparam("known")).values({name: bindparam(name) for name in _LATEST})
)
_POINT_ROWS = "INSERT INTO points (series, at, step, value, nan) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_ONE_POINT = Upsert(points)
_POINT = ("series", "at", "step", "value", "nan")
_SERIES = ("experiment", "run", "name", *_LATEST)
_POINT_COLUMNS = text(
    "INSERT INTO points (series, at, step, value, nan) SELECT * FROM unnest(CAST(:series AS bigint[]), "
    "CAST(:at AS bigint[]), CAST(:step AS bigint[]), CAST(:value AS double precision[]), "
    "CAST(:nan AS smallint[])) ON CONFLICT DO NOTHING"
)
_NEW_COLUMNS = text(
    "INSERT INTO metrics (experiment, run, name, step, at, value, nan) SELECT * FROM unnest("
    "CAST(:experiment AS bigint[]), CAST(:run AS bigint[]), CAST(:name AS text[]), CAST(:step AS bigint[]), "
    "CAST(:at AS bigint[]), CAST(:value AS double precision[]), CAST(:nan AS smallint[])) RETURNING series, run, name"
)
_MOVED_COLUMNS = text(
    "UPDATE metrics SET step = moved.step, at = moved.at, value = moved.value, nan = moved.nan FROM unnest("
    "CAST(:series AS bigint[]), CAST(:step AS bigint[]), CAST(:at AS bigint[]), CAST(:value AS double precision[]), "
    "CAST(:nan AS smallint[])) AS moved (series, step, at, value, nan) WHERE metrics.series = moved.series"
)

Latest = tuple[int, int, float, int]
"""Step, time, value, whether not a number: the larger is the later."""


def insert_series(
    connection: Connection, new: Mapping[tuple[int, str], Latest], experiments: Mapping[int, int]
) -> dict[tuple[int, str], int]:
    """Adds series by run and name with their latest points, and gives their numbers; `experiments` are those of the runs."""
    if not new:
        return {}
    rows = [(experiments[run], run, name, *latest) for (run, name), latest in new.items()]
    if connection.dialect.name == "sqlite":
        found = connection.execute(_NEW_ROWS, [dict(zip(_SERIES, row, strict=True)) for row in rows])
    else:
        found = connection.execute(_NEW_COLUMNS, _turned(_SERIES, rows))
    return {(run, name): int(series) for series, run, name in found}


def move_series(connection: Connection, moved: Mapping[int, Latest]) -> None:
    """Gives series by number other latest points."""
    if not moved:
        return
    if connection.dialect.name == "sqlite" or len(moved) == 1:
        rows = [{"known": series, **dict(zip(_LATEST, latest, strict=True))} for series, latest in moved.items()]
        connection.execute(_MOVED_ROWS, rows)
    else:
        rows_of = [(series, *latest) for series, latest in moved.items()]
        connection.execute(_MOVED_COLUMNS, _turned(("series", *_LATEST), rows_of))


def insert_points(connection: Connection, rows: Sequence[tuple[int, int, int, float, int]]) -> int:
    """Adds points: number of the series, time, step, value, whether not a number; how many were not there."""
    if not rows:
        return 0
    if connection.dialect.name == "sqlite":
        return connection.exec_driver_sql(_POINT_ROWS, list(rows)).rowcount
    if len(rows) == 1:
        return _ONE_POINT.into(connection, [dict(zip(_POINT, rows[0], strict=True))])
    return connection.execute(_POINT_COLUMNS, _turned(_POINT, rows)).rowcount


def _turned(names: Iterable[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """The columns of rows by name."""
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
