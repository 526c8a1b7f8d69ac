"""`kept trace`: one prediction, back to its data, its code and whoever let it serve."""

from typing import Annotated

import typer
from rich.tree import Tree

from kept.cli.options import Json, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.show import console, print_json, text
from kept.loop.trace import Trace, TracePrediction, trace_prediction

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    prediction: Annotated[str, typer.Argument(help="The id that the answer carried.")],
    endpoint: Annotated[str | None, typer.Option(help="The endpoint, if you know it.")] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Follow a prediction back: version, run, data versions, source, code, approver."""
    request = TracePrediction(prediction=prediction, endpoint=endpoint)
    found = connect(settings_for(workspace)).call(trace_prediction, request)
    if as_json:
        print_json(found)
    else:
        console.print(_tree(found), highlight=False)


def _tree(found: Trace) -> Tree:
    row = found.prediction
    tree = Tree(f"[bold]prediction {row['id']}[/bold] of {found.endpoint} at {row['event_time']}")
    tree.add(f"answered {row.get('prediction')} (score {text(row.get('score'))}), key {text(row.get('key'))}")
    for label in found.labels:
        tree.add(f"turned out {label.value}, known at {text(label.known_at)}, by {label.actor}")
    version = found.version
    branch = tree.add(f"version {version.number} of {version.model}, {version.status}, bundle {version.bundle}")
    if found.run is not None:
        run = branch.add(f"run {found.run.id}: {found.run.reason}")
        run.add(f"code {found.run.code}")
        run.add(f"environment {found.run.environment}")
        for one in found.data:
            run.add(f"{one.dataset} version {one.number}: {one.rows} rows from {one.source}, {one.fingerprint}")
    for approval in found.approvals:
        branch.add(f"{approval.kind} by {approval.actor}: {approval.reason or 'no reason given'}")
    if not found.approvals:
        branch.add("no approval was needed by the project's policy")
    for rollout in found.rollouts:
        steps = branch.add(f"rollout {rollout.state}: {rollout.reason}")
        for step in rollout.evidence:
            steps.add(f"{text(step.at)} by {step.by}: {step.reason}")
    for entry in found.audit:
        branch.add(f"audit {entry.sequence}: {entry.action} by {entry.actor}, {entry.outcome}")
    return tree
