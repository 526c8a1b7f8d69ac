"""`kept predict`: rows of a file to a running endpoint."""

import inspect
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import httpx
import msgspec
import numpy as np
import polars as pl
import typer

from kept.cli.options import Host, Json, Port, ProjectFile, Workspace, settings_for
from kept.cli.reach import model_name, service_address
from kept.cli.show import print_json, table
from kept.core.errors import Forbidden, Invalid, KeptError, Unavailable
from kept.data import frames
from kept.data.reading import read_table
from kept.plan.loading import load_project
from kept.plan.project import Project
from kept.settings.settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_AT_ONCE = 500
_SHOWN = 3
_PORTS = "--port names that of the pages: predictions answer on the next one"


@app.command()
def main(
    rows: Annotated[Path, typer.Option("--rows", help="A CSV, Parquet or JSON file of rows.")],
    endpoint: Annotated[str | None, typer.Option(help="The endpoint; that of the project here by default.")] = None,
    key: Annotated[str | None, typer.Option(help="Column that names a row, for labels by key.")] = None,
    event_time: Annotated[str | None, typer.Option(help="Column of the moment a row is about.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many rows.")] = None,
    host: Host = None,
    port: Port = None,
    workspace: Workspace = None,
    project: ProjectFile = None,
    as_json: Json = False,
) -> None:
    """Ask for predictions. Columns that the model does not know are left out."""
    settings = settings_for(workspace, project, host, port)
    name = model_name(settings, endpoint)
    headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
    address = service_address(settings, said=host is not None or port is not None)
    with httpx.Client(base_url=address, headers=headers, timeout=30) as http:
        inputs = _inputs(http, name)
        frame = read_rows(rows, inputs, _project(settings, name))
        frame = frame if limit is None else frame.head(limit)
        known = [one for one in inputs if one in frame.columns]
        if not known:
            fix = f"Give rows with {', '.join(inputs)}"
            raise Invalid(f"none of its columns is an input of {name}", where=str(rows), fix=fix)
        answers: list[dict[str, Any]] = []
        for start in range(0, frame.height, _AT_ONCE):
            part = frame.slice(start, _AT_ONCE)
            answers += _ask(http, name, part, known, key, event_time)
    if as_json:
        print_json(answers)
        return
    names = [one for one in answers[0] if one != "id"] if answers else []
    table(
        f"Predictions of {name}",
        ["id", *names],
        [[one["id"], *(_shown(one[column]) for column in names)] for one in answers],
    )


def _shown(value: Any) -> Any:
    """Of the probabilities of many classes those that count, of tensors their shapes."""
    if not isinstance(value, dict):
        return value
    if any(isinstance(one, list) for one in value.values()):
        return ", ".join(f"{name} {list(np.shape(one))}" for name, one in value.items())
    likeliest = sorted(value.items(), key=lambda one: -one[1])[:_SHOWN]
    return ", ".join(f"{name} {probability:.3f}" for name, probability in likeliest)


def read_rows(path: Path, inputs: dict[str, str], project: Project | None = None) -> pl.DataFrame:
    """The rows of a file, read as the training data is: through the project's dataset, where its function takes a `path`.

    Elsewhere texts are made to the types that the model takes; blanks and marks like `?` are missing.
    """
    if project is not None and "path" in inspect.signature(project.the_dataset.function).parameters:
        spec = project.the_dataset
        return frames.call(partial(spec.function, path=path), None, where=f"dataset {spec.name}")
    return read_table(
        path,
        numbers=[name for name, kind in inputs.items() if kind in {"FP64", "INT64"}],
        texts=[name for name, kind in inputs.items() if kind == "BYTES"],
        booleans=[name for name, kind in inputs.items() if kind == "BOOL"],
    )


def _project(settings: Settings, name: str) -> Project | None:
    """The project here, when it is the one whose endpoint is asked."""
    source = Path(settings.project)
    project = load_project(source) if source.is_file() else None
    return project if project is not None and project.name == name else None


def _inputs(http: httpx.Client, endpoint: str) -> dict[str, str]:
    answer = _call(http, "GET", f"/v2/models/{endpoint}", None)
    return {one["name"]: one["datatype"] for one in answer["inputs"]}


def _ask(
    http: httpx.Client, endpoint: str, part: pl.DataFrame, names: list[str], key: str | None, event_time: str | None
) -> list[dict[str, Any]]:
    body: dict[str, Any] = {"rows": part.select(names).to_dicts()}
    for field, column in (("keys", key), ("event_times", event_time)):
        if column is not None:
            if column not in part.columns:
                raise Invalid(f"there is no column {column!r}", where="rows", fix=f"It has {', '.join(part.columns)}")
            body[field] = part.get_column(column).to_list()
    found: list[dict[str, Any]] = _call(http, "POST", f"/predict/{endpoint}", body)["predictions"]
    return found


def _call(http: httpx.Client, method: str, path: str, body: Any) -> dict[str, Any]:
    content = None if body is None else msgspec.json.encode(body)
    try:
        response = http.request(method, path, content=content, headers={"Content-Type": "application/json"})
    except httpx.HTTPError as error:
        fix = f"Start it with kept up or kept serve. {_PORTS}"
        raise Unavailable(
            f"the prediction service does not answer ({error})", where=str(http.base_url), fix=fix
        ) from error
    try:
        answer = msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.DecodeError:
        answer = {}
    if response.is_success and answer:
        return answer
    # It says where everything is that it does not find; the pages do not.
    if "what" not in answer or (response.status_code == httpx.codes.NOT_FOUND and not answer.get("where")):
        what = f"what answers there ({response.status_code}) is no prediction service of Kept"
        raise Unavailable(what, where=str(http.base_url), fix=_PORTS)
    if response.status_code == httpx.codes.UNAUTHORIZED:
        fix = "Set KEPT_TOKEN to the service's token"
        raise Forbidden(answer["what"], where=str(http.base_url), fix=fix)
    raise KeptError(answer["what"], where=answer.get("where"), fix=answer.get("fix"))
