"""`kept score`: predictions for all rows of a file or table."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kept.app.scoring.score import Scored, score
from kept.app.workspace import embedded_actor
from kept.cli.options import Json, Workspace, settings_for
from kept.cli.reach import open_here
from kept.cli.show import errors, print_json, say
from kept.core.errors import NotFound
from kept.packaging.bundle import fetch_bundle
from kept.registry.catalog import ShowVersion, show_version
from kept.registry.model import CHAMPION, ModelVersion
from kept.registry.naming import LATEST

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    model: Annotated[
        str,
        typer.Argument(help="NAME (what serves, else the newest), NAME@ALIAS or NAME/NUMBER; or a bundle's folder."),
    ],
    rows: Annotated[Path, typer.Argument(help="A CSV or Parquet file, a folder of Parquet files, or a Delta table.")],
    to: Annotated[Path, typer.Argument(help="A .parquet or .csv file; without an ending, a Delta table.")],
    keep: Annotated[
        str | None, typer.Option("--keep", help="Columns to keep beside the answers, with commas; all by default.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a result that is there already.")] = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Score every row of a file or table, larger than memory too. Ended and begun again, it goes on where it stopped."""
    columns = None if keep is None else [name.strip() for name in keep.split(",") if name.strip()]
    with tempfile.TemporaryDirectory(prefix="kept-") as scratch:
        folder = _bundle(model, workspace, Path(scratch) / "bundle")
        found = _score(folder, rows, to, columns, overwrite=overwrite)
    if as_json:
        print_json(found)
        return
    again = f" ({found.taken_up:,} of them by an earlier try)" if found.taken_up else ""
    say((found.result, "bold"), f": {found.rows:,} rows scored{again} with {found.bundle}")


def _score(bundle: Path, rows: Path, to: Path, keep: list[str] | None, *, overwrite: bool) -> Scored:
    columns = (TextColumn("scored"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as shown:
        task = shown.add_task("scored", total=None)
        return score(
            bundle,
            rows,
            to,
            keep=keep,
            overwrite=overwrite,
            progress=lambda done, total: shown.update(task, completed=done, total=total),
        )


def _bundle(model: str, workspace: str | None, folder: Path) -> Path:
    if Path(model).is_dir():
        return Path(model)
    settings = settings_for(workspace)
    opened = open_here(settings, create=False)
    actor = embedded_actor(settings, "cli")

    def version(name: str, reference: str) -> ModelVersion:
        return show_version(opened, actor, ShowVersion(model=name, version=reference)).judged

    name, reference = _named(model)
    try:
        found = version(name, reference or CHAMPION)
    except NotFound:
        if reference:
            raise
        # Nothing of this model serves yet.
        found = version(name, LATEST)
    errors.print(f"{found.model} version {found.number}, {found.status}", markup=False, highlight=False)
    return fetch_bundle(found.bundle, opened.blobs, folder)


def _named(model: str) -> tuple[str, str | None]:
    """A model and, where one is named, a version of it: `churn`, `churn@champion`, `churn/3`."""
    for mark in "@/":
        name, found, version = model.partition(mark)
        if found and name and version:
            return name, version
    return model, None
