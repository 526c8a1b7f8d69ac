"""The files of a run: those that it kept itself, and those of the models that it logged."""

import posixpath
from collections.abc import Iterator

import msgspec

from kept.app.connection import Connection
from kept.core.errors import Invalid, NotFound
from kept.tracking.artifacts import ListArtifacts, list_artifacts
from kept.tracking.location import place_of
from kept.tracking.logged_models import show_logged_model
from kept.tracking.requests import ShowLoggedModel
from kept.tracking.run import RunDetail

_DEEPEST = 12


class RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a run."""

    name: str
    """Below the run's files; those of a logged model stand in a folder of the model's name."""
    path: str
    """Below the artifacts of the workspace."""
    size: int


def files_of_run(connection: Connection, found: RunDetail, most: int) -> list[RunFile]:
    """At most so many files of a run, by name; none of those that stand where this workspace does not look."""
    files = list[RunFile]()
    for prefix, location in _locations(connection, found):
        place = place_of(location)
        if place is not None:
            for one in _below(connection, place, prefix, _DEEPEST):
                if len(files) == most:
                    return files
                files.append(one)
    return files


def _locations(connection: Connection, found: RunDetail) -> Iterator[tuple[str, str]]:
    yield "", found.run.artifact_location
    for output in found.outputs:
        try:
            model = connection.call(show_logged_model, ShowLoggedModel(model=output.model))
        except NotFound:  # it was deleted
            continue
        yield model.name or model.id, model.artifact_location


def _below(connection: Connection, place: str, prefix: str, deep: int) -> Iterator[RunFile]:
    try:
        entries = connection.call(list_artifacts, ListArtifacts(path=place))
    except Invalid:  # a client names the place as it likes, so also one where nothing can be kept
        return
    for entry in entries:
        name = posixpath.join(prefix, posixpath.basename(entry.path))
        if not entry.folder:
            yield RunFile(name=name, path=entry.path, size=entry.size or 0)
        elif deep:
            yield from _below(connection, entry.path, name, deep - 1)
