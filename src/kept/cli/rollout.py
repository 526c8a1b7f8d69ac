"""`kept rollout`: how a version on trial does beside the champion, and a person's word on it."""

from typing import Annotated

import typer

from kept.cli.options import Json, ProjectFile, Workspace, settings_for
from kept.cli.reach import connect, name_here
from kept.cli.routes import show_endpoint
from kept.cli.show import print_json, say, table
from kept.core.durations import tell_duration
from kept.core.errors import Conflict
from kept.deployment.catalog import ShowStatus, show_status
from kept.deployment.release import Advance, advance
from kept.deployment.statistics import ArmStatistics
from kept.loop.rollout_report import RolloutReport, ShowRollout, show_rollout
from kept.loop.shadowed import ShadowReport

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

Endpoint = Annotated[str | None, typer.Argument(help="The endpoint; that of the project here by default.")]


@app.command()
def show(
    endpoint: Endpoint = None, workspace: Workspace = None, project: ProjectFile = None, as_json: Json = False
) -> None:
    """Show how the newest rollout goes: both versions side by side, the shadow's differences, and what the rule says."""
    settings = settings_for(workspace, project)
    connection = connect(settings)
    found = connection.call(show_rollout, ShowRollout(endpoint=name_here(connection, settings, endpoint)))
    if as_json:
        print_json(found)
        return
    rollout = found.rollout
    say((found.endpoint, "bold"), f": version {found.candidate} {rollout.state.replace('_', ' ')}. {rollout.reason}")
    if found.now is not None:
        _arms(found)
    if found.shadow is not None:
        _shadow(found.shadow)
    if found.said is not None:
        say((f"{found.said.action.replace('_', ' ')}: ", "bold"), found.said.reason)


@app.command("advance")
def advance_(
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")],
    endpoint: Endpoint = None,
    workspace: Workspace = None,
    project: ProjectFile = None,
    as_json: Json = False,
) -> None:
    """Move a rollout on by a person's word: to its first traffic, the next step, or all traffic."""
    settings = settings_for(workspace, project)
    connection = connect(settings)
    name = name_here(connection, settings, endpoint)
    (status,) = connection.call(show_status, ShowStatus(endpoint=name))
    rollout = status.rollout
    if rollout is None or not rollout.running:
        raise Conflict("no rollout is running", where=name, fix="Release a version: kept release")
    request = Advance(endpoint=name, rollout=rollout.id, step=rollout.step, state=rollout.state, reason=reason)
    moved = connection.call(advance, request)
    if as_json:
        print_json(moved)
    else:
        show_endpoint(moved)


def _arms(found: RolloutReport) -> None:
    now = found.now
    if now is None:
        return
    columns = ["version", "#rows", "#failed", "#p50 ms", "#p99 ms", "#labels", "#mean loss"]
    rows = [_row(f"{found.champion} champion", now.champion), _row(f"{found.candidate} on trial", now.candidate)]
    table(f"{tell_duration(now.elapsed)} of event time", columns, rows)


def _row(name: str, arm: ArmStatistics) -> list[str]:
    loss = "" if not arm.losses.outcomes else f"{arm.losses.mean:.4f}"
    latencies = ["" if one is None else f"{one:.2f}" for one in (arm.latency_p50_ms, arm.latency_p99_ms)]
    return [name, f"{arm.rows:,}", f"{arm.errors:,}", *latencies, f"{arm.losses.outcomes:,}", loss]


def _shadow(shadow: ShadowReport) -> None:
    same = shadow.rows - shadow.disagreements
    share = f" ({same / shadow.rows:.1%})" if shadow.rows else ""
    say(("as a shadow", "bold"), f": {same:,} of {shadow.rows:,} rows answered as the champion did{share}")
    rows = [
        [
            one.column,
            one.part,
            f"{one.rows:,}",
            f"{one.disagreement:.1%}",
            "" if one.difference is None else f"{one.difference:+.4f}",
        ]
        for one in shadow.slices
    ]
    if rows:
        table("where it differs most", ["column", "part", "#rows", "#otherwise", "#mean difference"], rows)
