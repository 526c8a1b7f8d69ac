"""Rows of endpoints, routes and rollouts."""

import msgspec
from sqlalchemy import Connection, func, insert, or_, select, update

from kept.deployment.endpoint import Endpoint, RouteRecord
from kept.deployment.rollout import RUNNING, Rollout
from kept.store.rows import from_row, to_row
from kept.store.schema import endpoints, rollouts, routes
from kept.store.upsert import Upsert

_SAVE_ENDPOINT = Upsert(endpoints, overwrite=["model"])


def save_endpoint(connection: Connection, endpoint: Endpoint) -> None:
    """Adds the endpoint, or notes the model that it serves now."""
    _SAVE_ENDPOINT.into(connection, [to_row(endpoint)])


def find_endpoint(connection: Connection, name: str) -> Endpoint | None:
    """The endpoint of this name."""
    row = connection.execute(select(endpoints).where(endpoints.c.name == name)).mappings().first()
    return from_row(row, Endpoint) if row else None


def all_endpoints(connection: Connection) -> list[Endpoint]:
    """Every endpoint, by name."""
    return [from_row(row, Endpoint) for row in connection.execute(select(endpoints).order_by("name")).mappings()]


def append_route(connection: Connection, route: RouteRecord) -> RouteRecord:
    """Puts a route in force and gives it with its revision, which is set here: one more than the last of all."""
    last = int(connection.execute(select(func.max(routes.c.revision))).scalar() or 0)
    numbered = msgspec.structs.replace(route, revision=last + 1)
    connection.execute(insert(routes).values(**to_row(numbered)))
    return numbered


def current_route(connection: Connection, endpoint: str) -> RouteRecord | None:
    """The route in force at an endpoint."""
    query = select(routes).where(routes.c.endpoint == endpoint).order_by(routes.c.revision.desc()).limit(1)
    row = connection.execute(query).mappings().first()
    return from_row(row, RouteRecord) if row else None


def current_routes(connection: Connection) -> list[RouteRecord]:
    """The route in force at every endpoint, by endpoint."""
    newest = select(func.max(routes.c.revision)).group_by(routes.c.endpoint)
    query = select(routes).where(routes.c.revision.in_(newest)).order_by(routes.c.endpoint)
    return [from_row(row, RouteRecord) for row in connection.execute(query).mappings()]


def routes_of(connection: Connection, endpoint: str) -> list[RouteRecord]:
    """Every route that an endpoint has had, oldest first."""
    query = select(routes).where(routes.c.endpoint == endpoint).order_by(routes.c.revision)
    return [from_row(row, RouteRecord) for row in connection.execute(query).mappings()]


def insert_rollout(connection: Connection, rollout: Rollout) -> None:
    """Adds a rollout."""
    connection.execute(insert(rollouts).values(**to_row(rollout)))


def update_rollout(connection: Connection, rollout: Rollout) -> None:
    """Takes over where a rollout stands now."""
    connection.execute(update(rollouts).where(rollouts.c.id == rollout.id).values(**to_row(rollout)))


def newest_rollout(connection: Connection, endpoint: str) -> Rollout | None:
    """The endpoint's rollout that is not decided yet, else its last one, whatever became of it.

    The last one by its id, which tells the time: the clock may have been set back since.
    """
    if (running := running_rollout(connection, endpoint)) is not None:
        return running
    query = select(rollouts).where(rollouts.c.endpoint == endpoint).order_by(rollouts.c.id.desc()).limit(1)
    row = connection.execute(query).mappings().first()
    return from_row(row, Rollout) if row else None


def running_rollout(connection: Connection, endpoint: str) -> Rollout | None:
    """The endpoint's rollout that is not decided yet; there is at most one."""
    query = select(rollouts).where(rollouts.c.endpoint == endpoint, rollouts.c.state.in_(RUNNING))
    row = connection.execute(query).mappings().first()
    return from_row(row, Rollout) if row else None


def promotion_of(connection: Connection, endpoint: str, version_id: str) -> Rollout | None:
    """The rollout by which a version took over the endpoint, unless it was rolled back since."""
    query = select(rollouts).where(
        rollouts.c.endpoint == endpoint, rollouts.c.candidate == version_id, rollouts.c.state == "promoted"
    )
    row = connection.execute(query.order_by(rollouts.c.id.desc()).limit(1)).mappings().first()
    return from_row(row, Rollout) if row else None


def rollouts_about(connection: Connection, version_id: str) -> list[Rollout]:
    """The rollouts, newest first, by which a version came to an endpoint or another came to its place."""
    of = or_(rollouts.c.candidate == version_id, rollouts.c.champion == version_id)
    query = select(rollouts).where(of).order_by(rollouts.c.id.desc())
    return [from_row(row, Rollout) for row in connection.execute(query).mappings()]


def rollouts_of(connection: Connection, endpoint: str, *, limit: int) -> list[Rollout]:
    """The endpoint's rollouts, newest first."""
    query = select(rollouts).where(rollouts.c.endpoint == endpoint).order_by(rollouts.c.id.desc()).limit(limit)
    return [from_row(row, Rollout) for row in connection.execute(query).mappings()]
