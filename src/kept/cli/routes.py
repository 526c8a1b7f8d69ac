"""How routes and endpoints are shown."""

from kept.cli.show import console
from kept.deployment.endpoint import EndpointStatus, RouteRecord


def arms(route: RouteRecord) -> str:
    """The arms of a route in one line: `version 3 champion 75%, version 4 canary 25%`."""
    return ", ".join(f"version {arm.number} {arm.role} {arm.weight:.0%}" for arm in route.arms)


def show_endpoint(status: EndpointStatus) -> None:
    """Where an endpoint stands, in a few lines."""
    console.print(f"[bold]{status.endpoint.name}[/bold]: " + (arms(status.route) if status.route else "serves nothing"))
    if status.rollout is not None:
        console.print(f"  rollout {status.rollout.state}: {status.rollout.reason}", highlight=False)
