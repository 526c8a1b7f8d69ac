"""Listing and showing endpoints: what they serve, what they served, and how their rollouts go."""

from datetime import datetime

import msgspec
from sqlalchemy import Connection

from kept.core.clock import as_utc
from kept.core.errors import NotFound
from kept.core.listing import list_limit
from kept.deployment.endpoint import Endpoint, EndpointHistory, EndpointStatus, route_at, route_for_events
from kept.deployment.records import (
    all_endpoints,
    current_route,
    current_routes,
    find_endpoint,
    newest_rollout,
    promotion_of,
    rollouts_of,
    routes_of,
)
from kept.deployment.rollout import Rollout
from kept.deployment.routing import RoutingTable
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.records import approvers_of
from kept.governance.workspace import Workspace


class ShowRoutes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The routing table in force."""


class ShowStatus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One endpoint, or all of them."""

    endpoint: str | None = None


class ShowHistory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an endpoint served, at a moment or all along."""

    endpoint: str
    at: datetime | None = None
    limit: int = 100


class ListRollouts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An endpoint's rollouts."""

    endpoint: str
    limit: int = 100


@operation("deployment.routes", needs=Permission.VIEW, audit=Audit.READ)
def show_routes(workspace: Workspace, actor: Actor, request: ShowRoutes) -> RoutingTable:
    """Which versions answer which share of each endpoint's requests. Its revision only grows."""
    del actor, request
    with workspace.database.reading() as connection:
        found = current_routes(connection)
    return RoutingTable(
        revision=max((one.revision for one in found), default=0), routes=tuple(one.route for one in found)
    )


@operation("deployment.status", needs=Permission.VIEW, audit=Audit.READ)
def show_status(workspace: Workspace, actor: Actor, request: ShowStatus) -> list[EndpointStatus]:
    """Where an endpoint stands: its route, its rollout, and the version that a roll-back would bring back."""
    del actor
    with workspace.database.reading() as connection:
        if request.endpoint is None:
            return [status_of(connection, one) for one in all_endpoints(connection)]
        return [status_of(connection, the_endpoint(connection, request.endpoint))]


@operation("deployment.history", needs=Permission.VIEW, audit=Audit.READ)
def show_history(workspace: Workspace, actor: Actor, request: ShowHistory) -> EndpointHistory:
    """Which version served at a moment, by processing time and by event time, and why; and the routes before and since."""
    del actor
    limit = list_limit(request.limit, where="deployment")
    with workspace.database.reading() as connection:
        the_endpoint(connection, request.endpoint)
        routes = routes_of(connection, request.endpoint)
    moment = None if request.at is None else as_utc(request.at, where="history")
    return EndpointHistory(
        endpoint=request.endpoint,
        at=moment,
        by_processing_time=None if moment is None else route_at(routes, moment),
        by_event_time=None if moment is None else route_for_events(routes, moment),
        routes=tuple(routes[::-1][:limit]),
    )


@operation("deployment.rollouts", needs=Permission.VIEW, audit=Audit.READ)
def list_rollouts(workspace: Workspace, actor: Actor, request: ListRollouts) -> list[Rollout]:
    """An endpoint's rollouts with every decision and its evidence, newest first."""
    del actor
    with workspace.database.reading() as connection:
        the_endpoint(connection, request.endpoint)
        return rollouts_of(connection, request.endpoint, limit=list_limit(request.limit, where="deployment"))


def the_endpoint(connection: Connection, name: str) -> Endpoint:
    """The endpoint, or `NotFound`."""
    found = find_endpoint(connection, name)
    if found is None:
        names = ", ".join(one.name for one in all_endpoints(connection)[:8])
        fix = f"There are: {names}" if names else "Release a version first: kept release"
        raise NotFound(f"there is no endpoint {name!r}", where="deployment", fix=fix)
    return found


def status_of(connection: Connection, endpoint: Endpoint) -> EndpointStatus:
    """Where an endpoint stands."""
    route = current_route(connection, endpoint.name)
    promotion = promotion_of(connection, endpoint.name, route.route.champion.version_id) if route else None
    rollout = newest_rollout(connection, endpoint.name)
    return EndpointStatus(
        endpoint=endpoint,
        route=route,
        rollout=rollout,
        previous=promotion.champion if promotion else None,
        approvals_missing=_approvals_missing(connection, rollout) if rollout else 0,
    )


def _approvals_missing(connection: Connection, rollout: Rollout) -> int:
    if rollout.state != "waiting":
        return 0
    return max(rollout.rule.approvals - len(approvers_of(connection, rollout.candidate)), 0)
