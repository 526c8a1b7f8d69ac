"""`kept serve-model`: a model file on a port, without a project."""

import shlex
import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from kept.app.model_files import bundle_of
from kept.cli.options import Host
from kept.packaging.bundle import Bundle, read_bundle
from kept.packaging.self_test import SELF_TEST, SelfTest
from kept.serving.service import callers_in, serve_bundle
from kept.settings.settings import load_settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    path: Annotated[
        Path, typer.Argument(help="A bundle's folder, a .skops file, an .onnx file or a model folder of MLflow.")
    ],
    name: Annotated[str, typer.Option("--name", help="Name of the endpoint.")] = "model",
    port: Annotated[int, typer.Option("--port", help="Port that predictions answer on.")] = 8701,
    sample: Annotated[
        Path | None,
        typer.Option("--sample", help="Rows (Parquet or CSV) that a .skops model takes; .npz for an .onnx file."),
    ] = None,
    host: Host = None,
) -> None:
    """Serve a model file for a first try. Predictions are logged to a temporary folder."""
    settings = load_settings(Path.cwd(), host=host)
    with tempfile.TemporaryDirectory(prefix="kept-") as folder:
        bundle = bundle_of(path, sample, Path(folder) / "bundle")
        started = partial(_tell, name, _example(read_bundle(bundle)), secret=bool(callers_in(settings)))
        serve_bundle(bundle, name, settings, port=port, spool=Path(folder) / "spool", started=started)


def _tell(name: str, example: str, address: str, *, secret: bool) -> None:
    # The shell that asks knows it, or its owner puts another caller's there.
    known = ' -H "Authorization: Bearer $KEPT_TOKEN"' if secret else ""
    typer.echo(f"{name} answers on {address}; Ctrl-C stops it. Ask it:")
    if example:
        kind = "-H 'Content-Type: application/json'"
        typer.echo(f"  curl -s {address}/predict/{name} {kind}{known} -d {shlex.quote(example)}")
    else:
        typer.echo(f"  curl -s {address}/v2/models/{name}{known}")


def _example(bundle: Bundle) -> str:
    """A request with the first row that the bundle is tested with; nothing for a model of tensors, whose rows are long."""
    if bundle.manifest.signature.takes_tensors or SELF_TEST not in bundle.contents:
        return ""
    test = msgspec.json.decode(bundle.contents[SELF_TEST], type=SelfTest)
    return msgspec.json.encode({"rows": test.rows[:1]}).decode()
