"""Resolving the bundle that a command line names: a registered model's, or a folder."""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from kept.app.workspace import embedded_actor
from kept.cli.options import settings_for
from kept.cli.reach import open_here
from kept.cli.show import errors
from kept.core.errors import NotFound
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.packaging.bundle import fetch_bundle
from kept.registry.catalog import ShowVersion, show_version
from kept.registry.names import LATEST
from kept.registry.version import CHAMPION, ModelVersion
from kept.registry.version_name import FORMS, parse_version_name

ModelReference = Annotated[
    str, typer.Argument(metavar="MODEL", help=f"NAME (what serves, else the newest), {FORMS}; or a bundle's folder.")
]


class FoundBundle(NamedTuple):
    """A bundle's folder, and what the model in it is called: by its registered name, else by the folder's."""

    name: str
    folder: Path


def bundle_of(model: str, workspace: str | None, folder: Path) -> FoundBundle:
    """The bundle that is meant: in the folder that is named, or in `folder`, where a registered model's is brought to.

    Says which version that is (on standard error). `NotFound` when there is none.
    """
    found = registered(model, workspace)
    if found is None:
        return FoundBundle(Path(model).name, Path(model))
    opened, version = found
    return FoundBundle(version.model, fetch_bundle(version.bundle, opened.blobs, folder))


def registered(model: str, workspace: str | None) -> tuple[Workspace, ModelVersion] | None:
    """The version that is meant and its workspace, which is said on standard error; None where a bundle's folder is named.

    `NotFound` when there is none.
    """
    if Path(model).is_dir():
        return None
    settings = settings_for(workspace)
    opened = open_here(settings, create=False)
    found = version_of(model, opened, embedded_actor(settings, "cli"))
    errors.print(f"{found.model} version {found.number}, {found.status}", markup=False, highlight=False)
    return opened, found


def version_of(model: str, workspace: Workspace, actor: Actor) -> ModelVersion:
    """The version that is meant: `churn` (what serves, else the newest), `churn@champion` or `churn/3`. `NotFound` when there is none."""
    named = parse_version_name(model, alone="model")

    def version(reference: str) -> ModelVersion:
        return show_version(workspace, actor, ShowVersion(model=named.model, version=reference)).judged

    try:
        return version(named.version or CHAMPION)
    except NotFound:
        if named.version:
            raise
        # Nothing of this model serves yet.
        return version(LATEST)
