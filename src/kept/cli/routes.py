"""Showing routes and endpoints."""

from collections.abc import Iterable

from kept.cli.show import lines, say
from kept.deployment.endpoint import EndpointStatus
from kept.deployment.routing import Arm


def arms(route: Iterable[Arm]) -> str:
    """The arms of a route in one line: `version 3 champion 75%, version 4 canary 25%`."""
    silent = {"shadow": "of all a copy", "standby": "ready"}
    return ", ".join(f"version {arm.number} {arm.role} {silent.get(arm.role) or f'{arm.weight:.0%}'}" for arm in route)


def show_endpoint(status: EndpointStatus) -> None:
    """Where an endpoint stands, in a few lines."""
    say((status.endpoint.name, "bold"), f": {arms(status.route.arms) if status.route else 'serves nothing'}")
    if status.rollout is not None:
        lines([(f"rollout {status.rollout.state.replace('_', ' ')}", status.rollout.reason)])
