"""Logged models that a server has deleted, while versions of registered models still use their files.

A server tells nothing of them any more, and goes on giving their files.
"""

import re
from collections.abc import Iterator

from kept.registry.imported import ImportedVersion
from kept.tracking.experiment import Lifecycle
from kept.tracking.imported import ImportedModel

_HOME = re.compile(r"(mlflow-artifacts:/(\d+)/models/(m-[0-9a-f]{32})/artifacts)(/.*)?")


class DeletedModels:
    """What versions tell of the logged models that their files are of."""

    def __init__(self) -> None:
        self._named: dict[str, ImportedModel] = {}

    def note(self, version: ImportedVersion) -> None:
        """Remembers whose files a version has."""
        home = _HOME.fullmatch(version.location)
        if home is None or home[3] in self._named:
            return
        self._named[home[3]] = ImportedModel(
            id=home[3],
            experiment=home[2],
            name="",
            run=version.run_id,
            lifecycle=Lifecycle.DELETED,
            created_at=version.created_at,
            updated_at=version.created_at,
            location=home[1],
        )

    def seen(self, model: str) -> None:
        """The server tells of this one itself."""
        self._named.pop(model, None)

    def of(self, experiment: str) -> Iterator[ImportedModel]:
        """Those of an experiment that the server, asked for all of them, did not tell of."""
        yield from [model for model in self._named.values() if model.experiment == experiment]

    def place(self, model: str) -> str:
        """Where the files of such a model stand below those of the server; '' for any other."""
        found = self._named.get(model)
        return found.location.removeprefix("mlflow-artifacts:/") if found is not None else ""
