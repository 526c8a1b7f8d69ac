"""An endpoint: a name that requests are sent to, and the routes it has had."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from kept.deployment.rollout import Rollout
from kept.deployment.routing import Arm, Route

_BEGINNING = datetime.min.replace(tzinfo=UTC)


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint. Its fields are the columns of the table `endpoints`."""

    name: str
    project: str
    model: str
    """The model that was released to it last."""
    created_at: datetime


class RouteRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A route from one moment on, and why. Its fields are the columns of the table `routes`."""

    revision: int
    """Of the whole routing table: 1, 2, 3, ... without a gap."""
    endpoint: str
    arms: tuple[Arm, ...]
    reason: str
    rollout_id: str | None
    set_by: str
    at: datetime
    """Processing time."""
    event_time: datetime | None
    """The endpoint's event time then; None when it was not told."""

    @property
    def route(self) -> Route:
        """What the prediction service goes by."""
        return Route(endpoint=self.endpoint, arms=self.arms, revision=self.revision)


class EndpointStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where an endpoint stands."""

    endpoint: Endpoint
    route: RouteRecord | None
    """None while its first version waits for approval."""
    rollout: Rollout | None
    """The newest rollout: running, or how the last one ended."""
    previous: str | None
    """The model version that a roll-back would bring back."""
    approvals_missing: int = 0
    """How many people must still approve before the rollout that waits can begin."""


class EndpointHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Which versions an endpoint served, and why."""

    endpoint: str
    at: datetime | None
    by_processing_time: RouteRecord | None
    """The route at that moment of the clock."""
    by_event_time: RouteRecord | None
    """The route for events of that moment: they differ where old events are replayed or arrive late."""
    routes: tuple[RouteRecord, ...]
    """Newest first."""


def route_at(routes: Sequence[RouteRecord], moment: datetime) -> RouteRecord | None:
    """The route in force at a moment of processing time; `routes` in order of revision."""
    return next((one for one in reversed(routes) if one.at <= moment), None)


def route_for_events(routes: Sequence[RouteRecord], moment: datetime) -> RouteRecord | None:
    """The route in force for events of a moment; `routes` in order of revision.

    A route whose event time was not told begins at its processing time: requests are then about the present. Where a later
    route tells an earlier event time, events were being replayed, and it begins with the route before it, the
    endpoint's first at the beginning of time.
    """
    begins: list[datetime] = []
    for place, one in enumerate(routes):
        told = one.event_time
        if told is None:
            later = next((after.event_time for after in routes[place + 1 :] if after.event_time is not None), None)
            replayed = later is not None and later < one.at
            told = (begins[-1] if begins else _BEGINNING) if replayed else one.at
        begins.append(told)
    return next(
        (one for one, begin in zip(reversed(routes), reversed(begins), strict=True) if begin <= moment),
        None,
    )
