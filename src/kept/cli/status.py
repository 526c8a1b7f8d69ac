"""`kept status`: the loop at a glance."""

from typing import Annotated

import typer

from kept.app.processes import ListProcesses, list_processes
from kept.cli.following import render
from kept.cli.options import Json, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.show import console, print_json, spark, text
from kept.loop.status import EndpointState, ShowLoop, show_loop
from kept.monitoring.result import WindowResult
from kept.tracking.run import RunStatus

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_SHOWN = 5


@app.command()
def main(
    endpoint: Annotated[str | None, typer.Argument(help="Only this endpoint.")] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """See what serves, how far it was watched, what was found and decided."""
    connection = connect(settings_for(workspace))
    found = connection.call(show_loop, ShowLoop(endpoint=endpoint))
    if as_json:
        print_json(found)
        return
    up = connection.call(list_processes, ListProcesses())
    names = ", ".join(f"{one.kind} ({one.address or one.pid})" for one in up) or "nothing; start it with kept up"
    console.print(f"up: {names}", highlight=False)
    if not found.endpoints:
        console.print("No endpoint yet: kept run, then kept release.")
    for one in found.endpoints:
        _show(one)


def _show(state: EndpointState) -> None:
    arms = ", ".join(f"version {arm.number} {arm.role} {arm.weight:.0%}" for arm in state.arms)
    console.print(f"\n[bold]{state.endpoint}[/bold] serves {arms or 'nothing'}", highlight=False)
    times = (("event time", state.event_time), ("watched to", state.traffic_until), ("labels to", state.labelled_until))
    console.print("  " + ", ".join(f"{name} {text(moment)}" for name, moment in times), highlight=False)
    if state.rollout is not None:
        console.print(f"  rollout {state.rollout.state}: {state.rollout.reason}", highlight=False)
    for name, line in _lines(state.windows):
        console.print(f"  {name:<28} {line}", highlight=False)
    for alert in state.alerts[:_SHOWN]:
        console.print(f"  [yellow]alarm[/yellow] {text(alert.event_time)} {alert.title}", highlight=False)
    for decision in state.decisions[:_SHOWN]:
        console.print(f"  [cyan]{decision.kind}[/cyan] {text(decision.event_time)} {decision.reason}", highlight=False)
    if state.run is not None and state.run.status in {RunStatus.QUEUED, RunStatus.RUNNING}:
        console.print(render(state.run, list(state.steps)))


def _lines(windows: tuple[WindowResult, ...]) -> list[tuple[str, str]]:
    """The last windows of each metric as a line of bars, with its last value."""
    by_name: dict[str, list[WindowResult]] = {}
    for window in windows:
        by_name.setdefault(f"{window.monitor} {window.metric}", []).append(window)
    lines = []
    for name, found in sorted(by_name.items()):
        known = [one.value for one in found if one.value is not None]
        if known:
            lines.append((name, f"{spark(one.value for one in found)}  {text(known[-1])}"))
    return lines
