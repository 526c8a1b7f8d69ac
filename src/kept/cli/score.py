"""`kept score`: predictions for all rows of a file or table."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kept.app.scoring.lineage import scoring_told
from kept.app.scoring.rows import origin_of
from kept.app.scoring.score import Scored, score
from kept.cli.bundles import ModelReference, registered
from kept.cli.options import Json, Workspace
from kept.cli.show import errors, print_json, say
from kept.packaging.bundle import fetch_bundle

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    model: ModelReference,
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
        named = registered(model, workspace)
        if named is None:
            found = _score(Path(model), rows, to, columns, overwrite=overwrite)
        else:
            opened, version = named
            folder = fetch_bundle(version.bundle, opened.blobs, Path(scratch) / "bundle")
            with scoring_told(opened, version, origin_of(rows), to):
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
