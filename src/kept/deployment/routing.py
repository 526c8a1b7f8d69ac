"""Routes: which version of a model answers which share of an endpoint's requests."""

import math
from typing import Literal

import msgspec
import xxhash

from kept.core.errors import Invalid

Role = Literal["champion", "canary", "shadow"]

_PLACES = 2.0**53


class Arm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model version that an endpoint sends requests to.

    Args:
        version_id: the model version.
        number: its number, as people name it.
        model: the model it is a version of.
        bundle: digest of the bundle that is loaded for it.
        role: the champion answers what the canary does not; a shadow gets a copy of all and never answers.
        weight: its share of the requests; shares of the arms that answer add up to 1, a shadow has none.
    """

    version_id: str
    number: int
    model: str
    bundle: str
    role: Role = "champion"
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not (0.0 <= self.weight <= 1.0):
            raise Invalid(
                f"a weight of {self.weight} is not a share", where=f"version {self.number}", fix="Give 0 to 1"
            )
        if self.role == "shadow" and self.weight:
            raise Invalid("a shadow answers no request", where=f"version {self.number}", fix="Give it the weight 0")


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The arms of one endpoint: one champion, at most one canary, any number of shadows."""

    endpoint: str
    arms: tuple[Arm, ...]
    revision: int = 0

    def __post_init__(self) -> None:
        where = f"route {self.endpoint!r}"
        roles = [arm.role for arm in self.arms]
        if roles.count("champion") != 1 or roles.count("canary") > 1:
            raise Invalid(
                f"its arms are {', '.join(roles) or 'none'}",
                where=where,
                fix="Name one champion and at most one canary",
            )
        if not math.isclose(total := sum(arm.weight for arm in self.arms), 1.0, abs_tol=1e-9):
            raise Invalid(f"the shares add up to {total:g}", where=where, fix="Let champion and canary add up to 1")

    @property
    def champion(self) -> Arm:
        """The arm that answers what the canary does not."""
        return next(arm for arm in self.arms if arm.role == "champion")

    @property
    def canary(self) -> Arm | None:
        """The arm under trial, if there is one."""
        return next((arm for arm in self.arms if arm.role == "canary"), None)

    @property
    def shadows(self) -> tuple[Arm, ...]:
        """The arms that get a copy of every request."""
        return tuple(arm for arm in self.arms if arm.role == "shadow")


class RoutingTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All routes, as of one revision."""

    revision: int
    routes: tuple[Route, ...]

    def __post_init__(self) -> None:
        names = [route.endpoint for route in self.routes]
        if len(set(names)) != len(names):
            raise Invalid("an endpoint has two routes", where="routing table", fix="Give each endpoint one route")


def choose(route: Route, routing_key: str) -> Arm:
    """The arm that answers requests with this key.

    The key's place is a hash of endpoint and key, uniform over [0, 1); the canary answers the places below its weight.
    So a key keeps its arm while the weights stay, and a key that the canary answers stays with it when its weight
    grows. The canary's version is no part of the hash: a caller is not moved by every new version.
    """
    canary = route.canary
    if canary is not None and place(route.endpoint, routing_key) < canary.weight:
        return canary
    return route.champion


def place(endpoint: str, routing_key: str) -> float:
    """The key's place in [0, 1): xxh3-64 of the endpoint and the key, so that endpoints split their keys independently."""
    digest: int = xxhash.xxh3_64_intdigest(f"{endpoint}\0{routing_key}".encode("utf-8", "surrogatepass"))
    # The 53 bits that a float holds exactly, so that the result is never rounded up to 1.
    return (digest >> 11) / _PLACES
