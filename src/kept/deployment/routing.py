"""Routes: which version of a model answers which share of an endpoint's requests."""

import math
from typing import Literal

import msgspec
import xxhash

from kept.core.errors import Invalid

Role = Literal["champion", "canary", "challenger", "shadow", "standby"]
Occasion = Literal["error", "timeout", "range"]
Operator = Literal["<", "<=", ">", ">=", "==", "!=", "in", "missing"]

_ON_TRIAL = ("canary", "challenger")
_SILENT = ("shadow", "standby")

_PLACES = 2.0**53


class FallbackRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer for rows whose value of one input meets a condition.

    Args:
        column: the input.
        operator: how its value is held against `value`; `missing` holds for a missing one, the others never do.
        value: a number, text or truth value; a list of them for `in`; None for `missing`.
        answer: as the constant of a fallback.
    """

    column: str
    operator: Operator
    value: float | bool | str | tuple[float | bool | str, ...] | None = None
    answer: float | str


class Fallback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is answered in place of a version that fails, is late, or is asked about what it never learned.

    Args:
        on: on which of these occasions.
        previous: whether the version beside it answers: the standby for the champion, the champion for a version on trial.
        rules: what is answered when no version does: each row by the first rule that holds for it, else by the constant.
        constant: what is answered when no rule holds for any row: the probability of the second class (binary), the value
            (regression), or a class as text, with probability 1; None for the error itself.
        timeout_ms: how long a request may take, its wait included, before it counts as late.
    """

    on: tuple[Occasion, ...] = ("error",)
    previous: bool = True
    rules: tuple[FallbackRule, ...] = ()
    constant: float | str | None = None
    timeout_ms: float | None = None


class Arm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model version that an endpoint sends requests to.

    Args:
        version_id: the model version.
        number: its number, as people name it.
        model: the model it is a version of.
        bundle: digest of the bundle that is loaded for it.
        role: the champion answers what the canary or the challenger (of an A/B test) does not; a shadow gets a copy of all
            and never answers; a standby is held in memory, for a way back at once.
        weight: its share of the requests; shares of the arms that answer add up to 1, a shadow and a standby have none.
        fallback: what is answered when it cannot; None for its error.
    """

    version_id: str
    number: int
    model: str
    bundle: str
    role: Role = "champion"
    weight: float = 1.0
    fallback: Fallback | None = None

    def __post_init__(self) -> None:
        if not (0.0 <= self.weight <= 1.0):
            raise Invalid(
                f"a weight of {self.weight} is not a share", where=f"version {self.number}", fix="Give 0 to 1"
            )
        if self.role in _SILENT and self.weight:
            raise Invalid(
                f"a {self.role} answers no request", where=f"version {self.number}", fix="Give it the weight 0"
            )


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The arms of one endpoint: one champion, at most one canary or challenger, any number of shadows and standbys."""

    endpoint: str
    arms: tuple[Arm, ...]
    revision: int = 0

    def __post_init__(self) -> None:
        where = f"route {self.endpoint!r}"
        roles = [arm.role for arm in self.arms]
        if roles.count("champion") != 1 or sum(role in _ON_TRIAL for role in roles) > 1:
            raise Invalid(
                f"its arms are {', '.join(roles) or 'none'}",
                where=where,
                fix="Name one champion and at most one canary or challenger",
            )
        if not math.isclose(total := sum(arm.weight for arm in self.arms), 1.0, abs_tol=1e-9):
            raise Invalid(f"the shares add up to {total:g}", where=where, fix="Let champion and canary add up to 1")

    @property
    def champion(self) -> Arm:
        """The arm that answers what the canary does not."""
        return next(arm for arm in self.arms if arm.role == "champion")

    @property
    def canary(self) -> Arm | None:
        """The arm on trial, canary or challenger, if there is one."""
        return next((arm for arm in self.arms if arm.role in _ON_TRIAL), None)

    @property
    def shadows(self) -> tuple[Arm, ...]:
        """The arms that get a copy of every request."""
        return tuple(arm for arm in self.arms if arm.role == "shadow")

    @property
    def standby(self) -> Arm | None:
        """The arm that is held ready for a way back, if there is one."""
        return next((arm for arm in self.arms if arm.role == "standby"), None)


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
