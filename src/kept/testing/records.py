"""Rows that the kit of the database writes: the smallest ones there are."""

from sqlalchemy import Connection, insert, select

from kept.store.schema import points


def add_point(connection: Connection, series: int, at: int) -> int:
    """Adds the point of a series at a place, and gives the place."""
    connection.execute(insert(points).values(series=series, at=at, step=0, value=0.5, nan=0))
    return at


def places_of(connection: Connection, series: int) -> list[int]:
    """Where the series has points, in order."""
    query = select(points.c.at).where(points.c.series == series).order_by(points.c.at)
    return list(connection.execute(query).scalars())
