"""`kept init`: a project for your own data, written and explained."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from kept.app.starting.columns import Guess
from kept.app.starting.draft import Asked, Draft, draft_project
from kept.app.starting.writing import check_folder, write_project
from kept.app.workspace import embedded_actor
from kept.cli.options import Json, settings_for
from kept.cli.show import console, print_json, table
from kept.core.errors import Invalid
from kept.plan.specs import Task

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_SHOWN_CLASSES = 8
_TASKS: dict[str, Task] = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}


@app.command()
def main(
    name: Annotated[str, typer.Argument(help="The project's name, and its endpoint's: a-z, 0-9, - and _.")],
    data: Annotated[Path, typer.Option("--data", help="A CSV, Parquet or JSON file of rows.")],
    target: Annotated[str, typer.Option("--target", help="Column to predict.")],
    time: Annotated[str | None, typer.Option("--time", help="Column of the moment a row is about.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Column that names a row.")] = None,
    task: Annotated[str | None, typer.Option("--task", help="binary, multiclass or regression; else guessed.")] = None,
    columns: Annotated[str, typer.Option("--columns", help="Names for a file without a header, as a,b,c.")] = "",
    header: Annotated[
        bool | None,
        typer.Option("--header/--no-header", help="Whether the first line names the columns; else guessed."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Where to write; a folder of the project's name.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a project for a file: columns, task and objectives are guessed, and said aloud. Change what is wrong."""
    if task is not None and task not in _TASKS:
        raise Invalid(f"{task!r} is not a task", where="--task", fix=f"Write {', '.join(_TASKS)}")
    place = folder or Path(name)
    check_folder(place)
    asked = Asked(
        name=name,
        data=data,
        target=target,
        time=time,
        key=key,
        task=_TASKS[task] if task else None,
        columns=tuple(one.strip() for one in columns.split(",")) if columns else (),
        header=header,
    )
    draft = draft_project(asked)
    path = write_project(draft, place, owner=embedded_actor(settings_for(), "cli").name)
    if as_json:
        facts = {field: getattr(draft, field) for field in draft.__struct_fields__}
        print_json({"project": str(path), **facts, "data": str(draft.data)})
    else:
        _say(draft, path)


def _say(draft: Draft, path: Path) -> None:
    table(
        f"{draft.data}: {draft.rows:,} rows; {draft.header}",
        ["column", "taken for", "because", "#missing"],
        [
            [one.name, one.taken if one.used else f"{one.taken} *", one.why, _missing(one, draft.rows)]
            for one in draft.columns
        ],
    )
    console.print("* not a feature\n", style="dim")
    target = draft.target
    console.print(f"[bold]Task[/bold] {target.task}: {target.name} has {target.why}", highlight=False)
    total = sum(target.classes.values())
    shown = [f"{name} {count / total:.1%}" for name, count in list(target.classes.items())[:_SHOWN_CLASSES]]
    if shown:
        more = len(target.classes) - len(shown)
        console.print(f"  {', '.join(shown)}{f' and {more} more' if more else ''}", highlight=False, markup=False)
    console.print("[bold]Objectives[/bold] that a quick look supports, with room for chance:")
    for promise in draft.probe.promises:
        console.print(f"  {promise.objective.name}   {promise.why}", highlight=False, markup=False)
    split = "by time, the newest rows are the test" if draft.window else "at random, 20% are the test"
    console.print(f"[bold]Split[/bold] {split}", highlight=False)
    for note in draft.notes:
        console.print("[yellow]![/yellow] ", end="")
        console.print(note, highlight=False, markup=False)
    console.print(f"\nWritten: [bold]{path}[/bold]. Next:", highlight=False)
    console.print(f"  cd {path.parent} && kept run && kept release && kept up", highlight=False, markup=False)
    beside = os.path.relpath(draft.data.resolve(), path.parent.resolve())
    # A path that leads far up and down again is harder to read than the whole one.
    rows = shlex.quote(str(draft.data.resolve()) if beside.startswith("../../") else beside)
    console.print(f"  kept predict --rows {rows}   (beside it, in another terminal)", highlight=False, markup=False)


def _missing(guess: Guess, rows: int) -> str | None:
    if not guess.missing:
        return None
    marks = f" ({', '.join(guess.marks)})" if guess.marks else " (blank)"
    return f"{guess.missing} = {guess.missing / rows:.1%}{marks}"
