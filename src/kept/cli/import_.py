"""`kept import`: bring over what another tracking server holds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bar

from kept.app.importing.moving import Import, Progress
from kept.app.importing.opening import Options, open_source
from kept.app.importing.report import Findings, ImportReport, LeftOut
from kept.app.workspace import embedded_actor
from kept.cli.options import Json, Workspace, settings_for
from kept.cli.reach import open_here
from kept.cli.show import errors, print_json, say, table
from kept.core.errors import CheckFailed, Forbidden, NotFound
from kept.governance.workspace import Workspace as OpenWorkspace
from kept.settings.settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Bring over what another tracking server holds."""


@app.command()
def mlflow(
    source: Annotated[
        str, typer.Argument(help="A server (http://...), a folder mlruns, a file mlflow.db, or postgresql://...")
    ],
    artifacts: Annotated[
        list[str] | None,
        typer.Option(help="A folder in which files of runs may be read too. May be given more than once."),
    ] = None,
    mlflow_workspace: Annotated[
        str, typer.Option(help="MLflow's own workspace that is read; that of MLFLOW_WORKSPACE, or default.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read everything, write nothing, and tell what would be.")
    ] = False,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Read and compare again also what was brought and seems unchanged.")
    ] = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Bring a whole MLflow server, folder or database over.

    Stop it at any moment and run it again: it goes on. When all is here, it brings only what is new.
    """
    settings = settings_for(workspace)
    if settings.url:
        fix = "Run it on the machine of the server, with --workspace and without KEPT_URL"
        raise Forbidden("an import writes into a workspace of this machine", where="import", fix=fix)
    findings = Findings()
    found = open_source(source, Options(artifacts=artifacts or [], part=mlflow_workspace), findings)
    try:
        with _bar(quiet=as_json) as follow:
            moving = Import(
                found,
                _target(settings, dry_run=dry_run),
                embedded_actor(settings, "cli"),
                findings,
                rehearse=dry_run,
                thorough=thorough,
                follow=follow,
            )
            report = moving.run()
    finally:
        found.close()
    if as_json:
        print_json(report)
    else:
        _show(report)
    if not report.complete:
        fix = "See above what was left out and why; what was brought stays, and the next import goes on from there"
        raise CheckFailed("the import is incomplete", where=report.source, fix=fix)


def _target(settings: Settings, *, dry_run: bool) -> OpenWorkspace | None:
    try:
        return open_here(settings, create=not dry_run)
    except NotFound:
        if dry_run:
            return None
        raise


class _Follower:
    """Shows how far an import is."""

    def __init__(self, bar: Bar | None) -> None:
        self._bar = bar
        self._task = None if bar is None else bar.add_task("runs", total=None, now="", points=0, files=0, size="")

    def __call__(self, progress: Progress) -> None:
        if self._bar is None or self._task is None:
            return
        self._bar.update(
            self._task,
            completed=progress.runs,
            total=progress.totals.runs,
            now=_printable(progress.now),
            points=progress.points,
            files=progress.files,
            size=f"{progress.bytes_brought / 1e6:,.1f} MB",
        )


@contextmanager
def _bar(*, quiet: bool) -> Iterator[_Follower]:
    if quiet:
        yield _Follower(None)
        return
    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn(
            "runs, {task.fields[points]:,} points, {task.fields[files]:,} files, {task.fields[size]}", markup=False
        ),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}", markup=False),
    )
    with Bar(*columns, console=errors, transient=True) as bar:
        yield _Follower(bar)


def _show(report: ImportReport) -> None:
    said = "would be brought" if report.dry_run else "brought"
    rows = [(kind, one.found, one.new, one.changed, one.already, one.verified) for kind, one in report.tallies.items()]
    title = f"{_printable(report.source)} in {report.seconds:.1f} s, {report.bytes_brought / 1e6:,.1f} MB of files"
    table(title, ["what", "#found", f"#{said}", "#changed", "#here already", "#verified"], rows)
    runs = report.tallies["runs"]
    if runs.already > runs.verified:
        say("Points and files of unchanged runs were not read again and are not counted; --thorough reads them.")
    _list("Left out", report.left_out)
    _list("Not as in the source", report.differing)
    _list("Not brought", report.out_of_scope)
    _list("Otherwise here", report.notes)
    if report.complete:
        say(("Complete.", "green"))


def _list(title: str, parts: Sequence[LeftOut]) -> None:
    if parts:
        rows = [(one.what, one.count, one.why, _printable("; ".join(one.examples[:3]))) for one in parts]
        table(title, ["what", "#how many", "why", "for example"], rows)


def _printable(words: str) -> str:
    """Words of the source without what would move the cursor."""
    return "".join(letter if letter.isprintable() else "�" for letter in words)
