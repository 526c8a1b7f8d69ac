"""`kept status`: the loop at a glance."""

from typing import Annotated

import typer

from kept.app.process import Process
from kept.app.processes import ListProcesses, list_processes
from kept.cli.following import render
from kept.cli.options import Json, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.routes import arms
from kept.cli.show import console, lines, print_json, say, short, spark, text
from kept.loop.status import EndpointState, ShowLoop, show_loop
from kept.monitoring.estimates import Estimates, ShowEstimates, show_estimates
from kept.monitoring.incident import Incident
from kept.monitoring.incidents import ListIncidents, list_incidents
from kept.monitoring.result import WindowResult
from kept.tracking.run import RunStatus

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_SHOWN = 5
_BARS = 30
_STANDING = 20
_DETECTORS = ("decay", "drift")


@app.command()
def main(
    endpoint: Annotated[str | None, typer.Argument(help="Only this endpoint.")] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """See what serves, how far it was watched, what was found and decided. Times are UTC."""
    connection = connect(settings_for(workspace))
    found = connection.call(show_loop, ShowLoop(endpoint=endpoint))
    if as_json:
        print_json(found)
        return
    _show_processes(connection.call(list_processes, ListProcesses()))
    if not found.endpoints:
        say("No endpoint yet: kept run, then kept release.")
    for one in found.endpoints:
        _show(one)
        _show_estimates(connection.call(show_estimates, ShowEstimates(endpoint=one.endpoint, limit=_BARS)))
    _show_standing(connection.call(list_incidents, ListIncidents(endpoint=endpoint, standing=True, limit=_STANDING)))


def _show_standing(found: list[Incident]) -> None:
    if found:
        say(("\nalerts that nobody has resolved", "bold"), "; kept alerts show ID tells more")
        lines([(short(one.id), (one.state, "yellow"), f"{one.endpoint}: {one.title}") for one in found])


def _show_processes(up: list[Process]) -> None:
    names = ", ".join(f"{one.kind} ({one.address or one.pid})" for one in up)
    say(f"up: {names or 'nothing; start it with kept up'}")
    lines(
        [
            ((f"{job} fails", "red"), str(error))
            for one in up
            for job, error in dict(one.details.get("failing", {})).items()
        ]
    )


def _show(state: EndpointState) -> None:
    say(("\n" + state.endpoint, "bold"), f" serves {arms(state.arms) or 'nothing'}")
    times = (("event time", state.event_time), ("watched to", state.traffic_until), ("labels to", state.labelled_until))
    lines([(name, text(moment)) for name, moment in times])
    if state.rollout is not None:
        lines([(f"rollout {state.rollout.state.replace('_', ' ')}", state.rollout.reason)])
    if state.event_time is not None and not state.windows:
        said = "nothing yet: a window is judged once it is whole, a day long unless project.monitor(window=...) says otherwise"
        lines([("watched", said)])
    champion = next((arm.version_id for arm in state.arms if arm.role == "champion"), None)
    lines(measures([one for one in state.windows if one.version_id == champion]))
    lines(
        [(("alarm", "yellow"), text(alert.event_time or alert.at), alert.title) for alert in state.alerts[:_SHOWN]]
        + [
            ((decision.kind.replace("_", " "), "cyan"), text(decision.event_time or decision.at), decision.reason)
            for decision in state.decisions[:_SHOWN]
        ]
    )
    if state.run is not None and state.run.status in {RunStatus.QUEUED, RunStatus.RUNNING}:
        console.print(render(state.run, list(state.steps)))


def _show_estimates(found: Estimates) -> None:
    """How estimates have done where labels came, and whether the last ones can be trusted."""
    lines([("estimates", one.verdict) for one in found.compared])
    last = found.windows[-1] if found.windows else None
    if last is not None and last.caution:
        lines([(("estimates", "yellow"), f"those since {text(last.start)} {last.caution}")])


def measures(windows: list[WindowResult]) -> list[tuple[str, str, str]]:
    """Each metric of one version with its last windows as bars, and its last value; detectors against their budget."""
    by_name: dict[str, list[WindowResult]] = {}
    for window in windows:
        by_name.setdefault(window.metric, []).append(window)
    shown = []
    for name in sorted(by_name, key=lambda one: (one not in _DETECTORS, one)):
        last = [one for one in by_name[name] if one.value is not None][-_BARS:]
        if last:
            shown.append((name, *(_detector(last) if name in _DETECTORS else _metric(last))))
    return shown


def _detector(windows: list[WindowResult]) -> tuple[str, str]:
    """A detector's value means something up to the budget, at which it alarms; beyond it grows without measure."""
    budget = windows[-1].high or 1.0
    bars = spark([(one.value or 0.0) / (one.high or budget) for one in windows], low=0.0, high=1.0)
    value = windows[-1].value or 0.0
    return bars, f">= {budget:.4g}, alarm" if value >= budget else f"{value:.3g}, alarms at {budget:.4g}"


def _metric(windows: list[WindowResult]) -> tuple[str, str]:
    last = windows[-1]
    return spark([one.value for one in windows]), text(last.value) + (", broken" if last.holds is False else "")
