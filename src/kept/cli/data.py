"""`kept data`: versions of data, what they hold, how they differ."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from kept.cli.options import Json, ProjectFile, Workspace, settings_for
from kept.cli.reach import connect, model_name
from kept.cli.show import console, print_json, say, table
from kept.core.errors import NotFound
from kept.data.catalog import (
    DiffData,
    ListData,
    SetSchema,
    ShowData,
    ShowQuarantine,
    diff_data,
    list_data,
    set_schema,
    show_data,
    show_quarantine,
    show_schema,
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

Dataset = Annotated[str, typer.Argument(help="The dataset, for example flights or features/weather.")]
Number = Annotated[int | None, typer.Argument(help="The version; the newest by default.")]
Owner = Annotated[str | None, typer.Option("--of", help="The project's name; that of the project here by default.")]


@app.command("list")
def list_(
    dataset: Annotated[str | None, typer.Argument(help="Only this dataset.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 50,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """List versions, newest first."""
    found = connect(settings_for(workspace)).call(list_data, ListData(dataset=dataset, limit=limit))
    if as_json:
        print_json(found)
        return
    rows: list[tuple[object, ...]] = [
        (one.dataset, one.number, one.rows, one.rows_added, one.rows_quarantined, one.created_at) for one in found
    ]
    columns = ["~dataset", "#version", "#rows", "#added", "#set aside", "made"]
    if len({one.project for one in found}) > 1:
        # Two projects may call a dataset alike.
        rows = [(one.project, *row) for one, row in zip(found, rows, strict=True)]
        columns = ["project", *columns]
    table("Data", columns, rows, nothing="No versions of data yet. A run stores the first: kept run")


@app.command()
def show(
    dataset: Dataset,
    number: Number = None,
    of: Owner = None,
    workspace: Workspace = None,
    project: ProjectFile = None,
    as_json: Json = False,
) -> None:
    """Show a version: columns, source, run, and how it stood up to its contract."""
    settings = settings_for(workspace, project)
    request = ShowData(project=model_name(settings, of), dataset=dataset, number=number)
    found = connect(settings).call(show_data, request)
    if as_json:
        print_json(found)
        return
    say((f"{found.dataset} version {found.number}", "bold"), f" of {found.project}: {found.source}")
    facts = [
        ("rows", found.rows),
        ("added", found.rows_added),
        ("set aside", found.rows_quarantined),
        ("events from", found.event_from),
        ("events to", found.event_to),
        ("fingerprint", found.fingerprint),
        ("run", found.run_id),
        ("made", found.created_at),
        ("by", found.created_by),
    ]
    table("", ["fact", "value"], facts)
    table("Columns", ["name", "type"], found.columns.items())
    if found.quality.reasons:
        table("Set aside", ["reason", "#rows"], found.quality.reasons.items())
        bad = connect(settings).call(
            show_quarantine, ShowQuarantine(project=found.project, dataset=dataset, number=found.number, limit=5)
        )
        for one in bad:
            console.print(Text(f"  {one.reason}: {one.row}"), overflow="ellipsis", no_wrap=True)


@app.command()
def diff(
    dataset: Dataset,
    before: Annotated[int | None, typer.Argument(help="The earlier version.")] = None,
    after: Annotated[int | None, typer.Argument(help="The later version.")] = None,
    of: Owner = None,
    workspace: Workspace = None,
    project: ProjectFile = None,
    as_json: Json = False,
) -> None:
    """Compare two versions; the newest with the one before it by default."""
    settings = settings_for(workspace, project)
    request = DiffData(project=model_name(settings, of), dataset=dataset, before=before, after=after)
    found = connect(settings).call(diff_data, request)
    if as_json:
        print_json(found)
        return
    say((found.dataset, "bold"), f": version {found.before} to version {found.after}")
    facts = [
        ("rows before", found.rows_before),
        ("rows after", found.rows_after),
        ("added", found.rows_added),
        ("removed", found.rows_removed),
        ("changed", found.rows_changed),
        ("columns added", ", ".join(found.columns_added)),
        ("columns removed", ", ".join(found.columns_removed)),
    ]
    table("", ["fact", "#value"], facts)
    rows = [
        (one.column, one.rows_changed, name, one.before.get(name), one.after.get(name))
        for one in found.columns
        for name in one.after
    ]
    table("Columns", ["column", "#rows changed", "statistic", "#before", "#after"], rows)


@app.command()
def schema(
    dataset: Dataset,
    number: Number = None,
    of: Owner = None,
    workspace: Workspace = None,
    project: ProjectFile = None,
    as_json: Json = False,
) -> None:
    """Print the contract that versions are held to, as ODCS YAML."""
    settings = settings_for(workspace, project)
    request = ShowData(project=model_name(settings, of), dataset=dataset, number=number)
    found = connect(settings).call(show_schema, request)
    if as_json:
        print_json(found.contract)
    else:
        typer.echo(found.schema)


@app.command()
def quarantine(
    dataset: Dataset,
    number: Number = None,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 20,
    of: Owner = None,
    workspace: Workspace = None,
    project: ProjectFile = None,
    as_json: Json = False,
) -> None:
    """Show rows that were set aside, each with its reason; also of an ingestion that was stopped."""
    settings = settings_for(workspace, project)
    request = ShowQuarantine(project=model_name(settings, of), dataset=dataset, number=number, limit=limit)
    found = connect(settings).call(show_quarantine, request)
    if as_json:
        print_json(found)
    else:
        table(f"Set aside of {dataset}", ["reason", "row"], [(one.reason, one.row) for one in found])


@app.command("set-schema")
def set_schema_(
    dataset: Dataset,
    file: Annotated[Path, typer.Argument(help="The schema, as ODCS YAML.")],
    of: Owner = None,
    workspace: Workspace = None,
    project: ProjectFile = None,
    as_json: Json = False,
) -> None:
    """Hold later versions to the schema of a file, as `kept data schema` prints it."""
    settings = settings_for(workspace, project)
    if not file.is_file():
        raise NotFound("there is no such file", where=str(file), fix="Write one with: kept data schema DATASET > FILE")
    request = SetSchema(project=model_name(settings, of), dataset=dataset, schema=file.read_text())
    found = connect(settings).call(set_schema, request)
    if as_json:
        print_json(found.contract)
    else:
        console.print(f"Later versions of {dataset} are held to {file}.", highlight=False)
