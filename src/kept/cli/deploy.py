"""`kept deploy`: a model as what runs elsewhere."""

import tempfile
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from kept.app.targets.export import Target, export
from kept.app.targets.manifests import Deployed
from kept.cli.bundles import ModelReference, bundle_of
from kept.cli.options import Json, Workspace
from kept.cli.show import print_json, say

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

_NEXT = {
    "docker": "docker build -t {image} {folder} && docker run -e KEPT_TOKEN -p 8701:8701 {image}",
    "kubernetes": "build and push {image}, make the secret {name}-token (key: token), then kubectl apply -f {folder}",
    "kserve": "build and push {image}, make the secret {name}-token (key: token), then kubectl apply -f {folder}",
}


@app.callback()
def main() -> None:
    """Run a model elsewhere."""


@app.command("export")
def export_(
    model: ModelReference,
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    target: Annotated[str, typer.Option("--target", help="docker, kubernetes or kserve.")] = "docker",
    name: Annotated[str | None, typer.Option("--name", help="Name of the endpoint; the model's by default.")] = None,
    image: Annotated[str | None, typer.Option("--image", help="The image's name; NAME:latest by default.")] = None,
    base: Annotated[str, typer.Option("--base", help="The image to build on.")] = "python:3.13-slim",
    pods: Annotated[str, typer.Option("--pods", help="Pods at least and at most.")] = "2-10",
    cpu: Annotated[str, typer.Option("--cpu", help="What a pod asks for.")] = "500m",
    memory: Annotated[str, typer.Option("--memory", help="What a pod asks for, and its bound.")] = "512Mi",
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Write a folder that an image is built from: the bundle, the serving part of Kept, pinned requirements, manifests."""
    if target not in get_args(Target):
        raise typer.BadParameter("it is docker, kubernetes or kserve", param_hint="--target")
    smallest, _, largest = pods.partition("-")
    if not (smallest.isdecimal() and (largest or smallest).isdecimal()):
        raise typer.BadParameter("write it like 2-10", param_hint="--pods")
    with tempfile.TemporaryDirectory(prefix="kept-") as scratch:
        bundle = bundle_of(model, workspace, Path(scratch) / "bundle")
        called = name or bundle.name
        asked = Deployed(
            name=called,
            image=image or f"{called}:latest",
            bundle="",
            smallest=int(smallest),
            largest=int(largest or smallest),
            cpu=cpu,
            memory=memory,
        )
        found = export(bundle.folder, folder, cast("Target", target), asked, base=base)
    if as_json:
        print_json(found)
        return
    say((found.folder, "bold"), f": {', '.join(found.files)}, {found.modules} modules of Kept, {found.bundle}")
    say("Next: ", _NEXT[target].format(image=asked.image, name=called, folder=folder))
