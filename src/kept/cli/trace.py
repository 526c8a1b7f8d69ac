"""`kept trace`: one prediction, back to its data, its code and whoever let it serve."""

from typing import Annotated

import typer
from rich.text import Text
from rich.tree import Tree

from kept.cli.options import Json, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.show import console, print_json, text
from kept.loop.trace import Trace, TracePrediction, tensors_in, trace_prediction

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
    tree = Tree(Text.assemble((f"prediction {row['id']}", "bold"), f" of {found.endpoint} at {row['event_time']}"))
    _add(tree, f"answered {row.get('prediction')} (score {text(row.get('score'))}), key {text(row.get('key'))}")
    for name, tensor in tensors_in(row).items():
        _add(tree, f"{name}: {tensor}")
    for label in found.labels:
        _add(tree, f"turned out {label.value}, known at {text(label.known_at)}, by {label.actor}")
    version = found.version
    branch = _add(
        tree, f"version {version.number} of {version.model}, {version.status}, bundle {_short(version.bundle)}"
    )
    if found.run is not None:
        run = _add(branch, f"run {found.run.id}: {found.run.reason}")
        _add(run, f"code {_short(found.run.code)}")
        _add(run, f"environment {_short(found.run.environment)}")
        for one in found.data:
            _add(
                run, f"{one.dataset} version {one.number}: {one.rows} rows from {one.source}, {_short(one.fingerprint)}"
            )
    for approval in found.approvals:
        _add(branch, f"{approval.kind} by {approval.actor}: {approval.reason or 'no reason given'}")
    if not found.approvals:
        _add(branch, "no approval was needed by the project's policy")
    for rollout in found.rollouts:
        steps = _add(branch, f"rollout {rollout.state.replace('_', ' ')}")
        for step in rollout.evidence:
            _add(steps, f"{text(step.at)} by {step.by}: {step.reason}")
    for entry in found.audit:
        _add(branch, f"audit {entry.sequence}: {entry.action} by {entry.actor}, {entry.outcome}")
    return tree


def _add(branch: Tree, words: str) -> Tree:
    """A branch that says this. Nothing in it is taken for markup."""
    return branch.add(Text(words))


def _short(digest: str | None) -> str:
    """The beginning of a digest; `--json` has it whole."""
    return digest[: len("sha256:") + 12] if digest else "-"
