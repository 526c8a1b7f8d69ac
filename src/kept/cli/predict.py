"""`kept predict`: rows of a file to a running endpoint."""

from pathlib import Path
from typing import Annotated, Any

import httpx
import msgspec
import polars as pl
import typer

from kept.cli.options import Host, Json, Port, ProjectFile, Workspace, settings_for
from kept.cli.reach import model_name
from kept.cli.show import print_json, table
from kept.core.errors import Invalid, KeptError, NotFound, Unavailable

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_AT_ONCE = 500


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
    with httpx.Client(base_url=f"http://{settings.host}:{settings.port + 1}", headers=headers, timeout=30) as http:
        inputs = _inputs(http, name)
        frame = read_rows(rows, inputs)
        frame = frame if limit is None else frame.head(limit)
        answers: list[dict[str, Any]] = []
        for start in range(0, frame.height, _AT_ONCE):
            part = frame.slice(start, _AT_ONCE)
            answers += _ask(http, name, part, [one for one in inputs if one in part.columns], key, event_time)
    if as_json:
        print_json(answers)
        return
    names = [one for one in answers[0] if one != "id"] if answers else []
    table(
        f"Predictions of {name}", ["id", *names], [[one["id"], *(one[column] for column in names)] for one in answers]
    )


def read_rows(path: Path, inputs: dict[str, str]) -> pl.DataFrame:
    """The rows of a file, with texts made to the types that the model takes; blanks and `?` are missing."""
    try:
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path)
        elif path.suffix == ".json":
            frame = pl.read_json(path)
        elif path.suffix in {".ndjson", ".jsonl"}:
            frame = pl.read_ndjson(path)
        else:
            frame = pl.read_csv(path, infer_schema=False).with_columns(pl.all().str.strip_chars())
            frame = frame.with_columns(pl.all().replace(["", "?"], None))
    except FileNotFoundError as error:
        raise NotFound("there is no such file", where=str(path), fix="Name a CSV, Parquet or JSON file") from error
    except pl.exceptions.PolarsError as error:
        raise Invalid(str(error).splitlines()[0], where=str(path), fix="Give a CSV, Parquet or JSON file") from error
    kinds = {"FP64": pl.Float64, "INT64": pl.Int64}
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String and inputs.get(name) in kinds]
    booleans = [name for name, dtype in frame.schema.items() if dtype == pl.String and inputs.get(name) == "BOOL"]
    return frame.with_columns(
        *(pl.col(name).cast(kinds[inputs[name]], strict=False) for name in texts),
        *(
            pl.col(name)
            .str.to_lowercase()
            .replace_strict({"true": True, "1": True, "false": False, "0": False}, default=None)
            for name in booleans
        ),
    )


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
        fix = "Start it with kept up or kept serve"
        raise Unavailable(
            f"the prediction service does not answer ({error})", where=str(http.base_url), fix=fix
        ) from error
    answer: dict[str, Any] = msgspec.json.decode(response.content)
    if response.is_success:
        return answer
    raise KeptError(
        answer.get("what") or answer.get("error", "no reason given"), where=answer.get("where"), fix=answer.get("fix")
    )
