"""`kept serve-model`: a model file on a port, without a project."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from kept.app.model_files import bundle_of
from kept.cli.options import Host
from kept.serving.service import serve_bundle
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
        serve_bundle(bundle, name, settings, port=port, spool=Path(folder) / "spool", started=typer.echo)
