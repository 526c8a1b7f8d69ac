"""`kept labels`: what turned out to be true."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from kept.cli.options import Json, ProjectFile, Workspace, settings_for
from kept.cli.reach import connect, model_name
from kept.cli.show import lines, print_json, say, table
from kept.data.label_files import import_file
from kept.data.labels import ShowLabels, import_labels, show_labels
from kept.monitoring.label_matches import LabelMatches, MatchLabels, match_labels

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

Endpoint = Annotated[str | None, typer.Option("--endpoint", help="The endpoint; that of the project here by default.")]


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A CSV or Parquet file.")],
    value: Annotated[str, typer.Option(help="Column of the label.")] = "label",
    prediction_id: Annotated[str | None, typer.Option(help="Column of the prediction's id.")] = None,
    key: Annotated[str | None, typer.Option(help="Column of the key.")] = None,
    known_at: Annotated[str | None, typer.Option(help="Column of the moment from which the label is known.")] = None,
    endpoint: Endpoint = None,
    workspace: Workspace = None,
    project: ProjectFile = None,
    as_json: Json = False,
) -> None:
    """Bring the labels of a file in, all or none. A file that is given again adds nothing."""
    settings = settings_for(workspace, project)
    connection = connect(settings)
    name = model_name(settings, endpoint)
    found = import_file(
        file,
        name,
        lambda request: connection.call(import_labels, request),
        value=value,
        prediction_id=prediction_id,
        key=key,
        known_at=known_at,
    )
    # Of a file that is given again: what has become of all its labels.
    after = found.before if found.recorded else 0
    matches = connection.call(match_labels, MatchLabels(endpoint=name, source=file.name, after=after))
    if as_json:
        counts = {"rows": found.rows, "recorded": found.recorded, "refused": 0, **msgspec.structs.asdict(matches)}
        print_json(counts)
        return
    say(f"{found.recorded:,} new labels of {found.rows:,} in {file.name}.")
    _tell(matches, f"these in {name}" if found.recorded else f"{file.name}'s in {name}")


@app.command()
def match(
    source: Annotated[str | None, typer.Option(help="Only labels of this file, or of this source.")] = None,
    endpoint: Endpoint = None,
    workspace: Workspace = None,
    project: ProjectFile = None,
    as_json: Json = False,
) -> None:
    """Show how many labels meet a prediction by now, wait for theirs, repeat or correct what was known."""
    settings = settings_for(workspace, project)
    name = model_name(settings, endpoint)
    found = connect(settings).call(match_labels, MatchLabels(endpoint=name, source=source))
    if as_json:
        print_json(found)
        return
    _tell(found, f"{name}'s" if source is None else f"{source}'s in {name}")


def _tell(found: LabelMatches, whose: str) -> None:
    lines(
        [
            ("labels", f"{found.labels:,} of {whose}"),
            ("matched", f"{found.matched:,} meet a prediction"),
            ("waiting", f"{found.waiting:,} are of no prediction that was logged by now"),
            ("duplicates", f"{found.duplicates:,} say what was known"),
            ("corrected", f"{found.corrected:,} say otherwise than what was known"),
        ]
    )


@app.command()
def show(
    prediction_id: Annotated[str | None, typer.Option(help="Only labels of this prediction.")] = None,
    key: Annotated[str | None, typer.Option(help="Only labels of this key.")] = None,
    endpoint: Endpoint = None,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 50,
    workspace: Workspace = None,
    project: ProjectFile = None,
    as_json: Json = False,
) -> None:
    """Show labels as they came, corrections included, newest first."""
    settings = settings_for(workspace, project)
    name = model_name(settings, endpoint)
    request = ShowLabels(endpoint=name, prediction_id=prediction_id, key=key, limit=limit)
    found = connect(settings).call(show_labels, request)
    if as_json:
        print_json(found)
        return
    rows = [(one.prediction_id, one.key, one.value, one.known_at, one.received_at, one.actor) for one in found]
    columns = ["prediction", "key", "label", "known at", "received", "by"]
    table(f"Labels of {name}", columns, rows, nothing="No labels. Bring some: kept labels import FILE")
