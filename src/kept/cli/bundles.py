"""The bundle that a command line names: a registered model's, or a folder."""

from pathlib import Path
from typing import Annotated

import typer

from kept.app.workspace import embedded_actor
from kept.cli.options import settings_for
from kept.cli.reach import open_here
from kept.cli.show import errors
from kept.core.errors import NotFound
from kept.packaging.bundle import fetch_bundle
from kept.registry.catalog import ShowVersion, show_version
from kept.registry.model import CHAMPION, ModelVersion
from kept.registry.naming import LATEST

ModelReference = Annotated[
    str, typer.Argument(help="NAME (what serves, else the newest), NAME@ALIAS or NAME/NUMBER; or a bundle's folder.")
]


def bundle_of(model: str, workspace: str | None, folder: Path) -> Path:
    """The folder of the bundle that is meant: the one named, or `folder`, where a registered model's is brought to.

    Says which version that is (on standard error). `NotFound` when there is none.
    """
    if Path(model).is_dir():
        return Path(model)
    settings = settings_for(workspace)
    opened = open_here(settings, create=False)
    actor = embedded_actor(settings, "cli")

    def version(name: str, reference: str) -> ModelVersion:
        return show_version(opened, actor, ShowVersion(model=name, version=reference)).judged

    name, reference = _named(model)
    try:
        found = version(name, reference or CHAMPION)
    except NotFound:
        if reference:
            raise
        # Nothing of this model serves yet.
        found = version(name, LATEST)
    errors.print(f"{found.model} version {found.number}, {found.status}", markup=False, highlight=False)
    return fetch_bundle(found.bundle, opened.blobs, folder)


def _named(model: str) -> tuple[str, str | None]:
    """A model and, where one is named, a version of it: `churn`, `churn@champion`, `churn/3`."""
    for mark in "@/":
        name, found, version = model.partition(mark)
        if found and name and version:
            return name, version
    return model, None
