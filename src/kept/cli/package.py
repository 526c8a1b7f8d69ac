"""`kept package`: a bundle from a model file."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from kept.app.model_files import bundle_of
from kept.cli.onnx_options import Classes, Form, Scores, Task, Tolerance, answering
from kept.cli.options import Json
from kept.cli.show import print_json, say
from kept.packaging.bundle import read_bundle

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    path: Annotated[
        Path,
        typer.Argument(
            help="A .skops file with a fitted scikit-learn estimator, an .onnx file, or a model folder of MLflow."
        ),
    ],
    sample: Annotated[
        Path | None,
        typer.Option(
            "--sample", help="Rows that it takes: Parquet or CSV; for an .onnx file .npz, with answers if wanted."
        ),
    ] = None,
    task: Task = "tensors",
    classes: Classes = "",
    scores: Scores = "",
    form: Form = "probabilities",
    tolerance: Tolerance = 1e-4,
    out: Annotated[Path | None, typer.Option("--out", help="The bundle's folder; NAME.bundle by default.")] = None,
    as_json: Json = False,
) -> None:
    """Export a model exactly, check it against the original, measure it, and write the bundle."""
    said = answering(task, classes, scores, form, tolerance)
    folder = bundle_of(path, sample, out or path.with_suffix(".bundle"), said)
    bundle = read_bundle(folder)
    manifest = bundle.manifest
    if as_json:
        print_json({"folder": str(folder), "digest": bundle.digest, "manifest": manifest})
        return
    say((str(folder), "bold"), f": {manifest.runtime}, {manifest.size_mb:.2f} MB, {bundle.digest}")
    say(f"one row takes {manifest.latency.p50_ms:.3f} ms (99%: {manifest.latency.p99_ms:.3f} ms)")
    if manifest.converted:
        held = f"held to {manifest.parity.tolerance:g} against the original"
        say(f"converted by skl2onnx, for want of an exact exporter, and {held}: {', '.join(manifest.converted)}")
    if manifest.not_exported:
        say(f"not exported: {manifest.not_exported}")
    say(f"Next: kept serve-model {shlex.quote(str(folder))} --name {shlex.quote(folder.stem)}")
