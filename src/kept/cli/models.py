"""`kept models`: versions, their verdicts and their cards."""

from pathlib import Path
from typing import Annotated, cast, get_args

import typer
from rich.markdown import Markdown

from kept.cli.options import Json, ProjectFile, Reason, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.show import console, lines, print_json, say, table, text
from kept.cli.versions import Beside, ModelOrVersion, version_named
from kept.loop.story import TellVersion, VersionStory, tell_version
from kept.registry.catalog import (
    ListVersions,
    SearchVersions,
    ShowVersion,
    list_versions,
    search_versions,
    show_version,
)
from kept.registry.markdown import render_markdown
from kept.registry.names import LATEST
from kept.registry.registered import RegisteredVersion
from kept.registry.version import ModelSummary, ModelVersion, Status

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

# A line has room for two; `kept models show` tells all.
_TELLING = ("roc_auc", "log_loss", "accuracy", "rmse", "mae")


@app.command("list")
def list_(
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 50,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """List versions, newest first."""
    found = connect(settings_for(workspace)).call(list_versions, ListVersions(model=model, limit=limit))
    _show(found, as_json, nothing="No versions yet. A run makes the first: kept run")


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="Words in names or the question.")] = "",
    where: Annotated[str, typer.Option(help="Bounds, for example 'roc_auc > 0.7 and size_mb < 5'.")] = "",
    status: Annotated[str | None, typer.Option(help="accepted, rejected or unjudged.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 50,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Find versions by words, status and bounds on metrics."""
    known: Status | None = None
    if status is not None:
        if status not in get_args(Status):
            raise typer.BadParameter("it is accepted, rejected or unjudged", param_hint="--status")
        known = cast("Status", status)
    request = SearchVersions(text=text, bounds=where, status=known, limit=limit)
    _show(connect(settings_for(workspace)).call(search_versions, request), as_json, nothing="No version fits.")


@app.command()
def show(
    model: ModelOrVersion,
    version: Beside = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Show a version's card: what it was made of, what it can and cannot do."""
    connection = connect(settings_for(workspace))
    named = version_named(connection, model, version)
    found = connection.call(show_version, ShowVersion(model=named.model, version=named.version or LATEST))
    if as_json:
        print_json(found)
    elif found.version is None:
        _show_unjudged(found.registered)
    else:
        console.print(Markdown(render_markdown(found.version)))
        told = TellVersion(model=found.version.model, version=str(found.version.number))
        _tell_story(connection.call(tell_version, told))


@app.command()
def adopt(
    model: ModelOrVersion,
    version: Beside = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="ITS=OURS",
            help="A class of the model, and the project's for it, such as 0=no; given again for each.",
        ),
    ] = None,
    reason: Reason = "asked for on the command line",
    fresh: Annotated[bool, typer.Option(help="Run every step, whatever is known already.")] = False,
    scores: Annotated[
        str, typer.Option(help="Of an ONNX graph with several outputs: the one that holds the scores.")
    ] = "",
    form: Annotated[str, typer.Option(help="What these are: probabilities, logits or value.")] = "probabilities",
    file: Annotated[
        Path | None, typer.Option(help="An .onnx file that becomes the model's next version first.")
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(help="Without a project: a .npz file of rows and their answers, which the .onnx file is held to."),
    ] = None,
    workspace: Workspace = None,
    project: ProjectFile = None,
    as_json: Json = False,
) -> None:
    """Take over a version that a client of MLflow registered, or an ONNX file: the project judges it as if it had trained it."""
    # The engine of pipelines comes with it: listing models need not wait for that.
    from kept.cli.adopting import adopt_version, register_file, take_file  # noqa: PLC0415

    settings = settings_for(workspace, project)
    if check is not None:
        if file is None:
            raise typer.BadParameter("it needs --file", param_hint="--check")
        _show_taken(take_file(settings, model, file, check), as_json)
        return
    if file is not None:
        version = register_file(settings, model, file)
    wanted = {
        "classes": _paired(classes or []),
        "reason": reason,
        "fresh": fresh,
        "scores": scores,
        "form": form,
    }
    adopt_version(settings, model, version, wanted, as_json=as_json)


def _paired(classes: list[str]) -> dict[str, str]:
    """The project's class for each of the model's."""
    found: dict[str, str] = {}
    for one in classes:
        its, mark, ours = one.partition("=")
        if not (its and mark and ours):
            raise typer.BadParameter("write it like 0=no", param_hint="--class")
        if its in found:
            raise typer.BadParameter(f"the model's class {its} is given twice", param_hint="--class")
        found[its] = ours
    return found


def _show_taken(version: ModelVersion, as_json: bool) -> None:
    if as_json:
        print_json(version)
        return
    say(
        (f"{version.model} version {version.number}", "bold"),
        f" is {version.status}: {version.verdict.checks[0].sentence}",
    )


def _show_unjudged(version: RegisteredVersion) -> None:
    say((f"{version.model} version {version.number}", "bold"), " is unjudged: a client registered it")
    facts = {
        "source": version.source,
        "run": version.run_id,
        "logged model": version.logged_model,
        "stage": version.stage.value,
        "description": version.description,
        **{f"tag {name}": value for name, value in version.tags.items()},
    }
    table("What is known of it", ["fact", "value"], [(name, value) for name, value in facts.items() if value])


def _tell_story(story: VersionStory) -> None:
    """Why it was trained and how it came to serve, oldest first."""
    rows = [(text(one.event_time or one.at), one.kind.replace("_", " "), one.reason) for one in story.decisions]
    for rollout in reversed(story.rollouts):
        rows += [(text(step.at), f"{step.state} by {step.by}", step.reason) for step in rollout.evidence]
    rows += [
        (text(one.at), "replaced", f"{one.model}/{one.number} took its place at {one.endpoint}: {one.reason}")
        for one in reversed(story.successors)
    ]
    if rows:
        say(("\nWhy it was trained, and how it came to serve", "bold"))
        lines(rows)


def telling(found: list[ModelSummary]) -> list[str]:
    """The metrics to show: of every version the one that tells most, and a second one where there is room."""
    measured = [[name for name in _TELLING if one.metrics.get(name) is not None] for one in found]
    wanted = {names[0] for names in measured if names}
    more = [name for name in _TELLING if any(name in names for names in measured) and name not in wanted]
    wanted |= set(more[: max(0, 2 - len(wanted))])
    return [name for name in _TELLING if name in wanted]


def _show(found: list[ModelSummary], as_json: bool, *, nothing: str) -> None:
    if as_json:
        print_json(found)
        return
    measured = telling(found)
    rows = [
        (
            one.model,
            one.number,
            one.status,
            ", ".join(one.aliases),
            *(one.metrics.get(name) for name in measured),
            one.created_at.date(),
        )
        for one in found
    ]
    names = [f"#{name}" for name in measured]
    table("Model versions", ["model", "#version", "status", "aliases", *names, "made"], rows, nothing=nothing)
