"""Resolving the version that a person names: one way in every command that takes one."""

from typing import Annotated

import typer

from kept.app.connection import Connection
from kept.cli.reach import name_here
from kept.core.errors import Invalid
from kept.registry.catalog import ShowVersion, show_version
from kept.registry.names import LATEST
from kept.registry.version_name import FORMS, VersionName, parse_version_name
from kept.settings.settings import Settings

ModelOrVersion = Annotated[str, typer.Argument(metavar="MODEL", help=f"The model, or a version of it: {FORMS}.")]
Beside = Annotated[str | None, typer.Argument(help="A number, an alias or latest, where MODEL names none.")]
Version = Annotated[str, typer.Argument(help=f"{FORMS}; or of the project's model a number, an alias or latest.")]


def version_named(connection: Connection, model: str, version: str | None) -> VersionName:
    """The model and the version that two words of a command line name; the version is empty when neither does.

    With a version beside it, the first word is a model's name and nothing else, whatever its letters are.
    """
    if version is not None:
        return VersionName(model=model, version=version)
    return _whole(connection, parse_version_name(model, alone="model"))


def version_here(connection: Connection, settings: Settings, version: str, model: str | None) -> VersionName:
    """The model and the version that a word names; without a model in it, of the one given, else of the project's here."""
    named = parse_version_name(version, alone="version")
    if model and named.model and named.model != model:
        raise Invalid(
            f"{version!r} names a version of another model than --model", where=model, fix="Name one of the two"
        )
    if model or named.model:
        return VersionName(model=model or named.model, version=named.version or LATEST)
    whole = _whole(connection, named)
    return whole if whole.model else VersionName(model=name_here(connection, settings, None), version=named.version)


def number_of(connection: Connection, identity: str) -> int:
    """The number of the version that has an id: what a person is told, who may have asked for the latest."""
    return connection.call(show_version, ShowVersion(version=identity)).registered.number


def _whole(connection: Connection, named: VersionName) -> VersionName:
    """The same with the model of a version that an id names."""
    if named.model or not named.is_id:
        return named
    found = connection.call(show_version, ShowVersion(version=named.version)).registered
    return VersionName(model=found.model, version=str(found.number))
