"""The model that scores a stream, looked up repeatedly, so that a release reaches the stream without a restart."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from kept.app.streaming.judging import Beside, Judge
from kept.core.errors import Damaged, KeptError, NotFound
from kept.deployment.routing import Arm
from kept.governance.workspace import Workspace
from kept.packaging.bundle import fetch_bundle
from kept.registry.records.versions import version_by_id
from kept.registry.version import ModelVersion
from kept.serving.runtime import LoadedModel

_logger = logging.getLogger("kept.stream")


class CurrentModel:
    """Gives the judge of the version that is meant now.

    Args:
        version: finds that version.
        workspace: holds the versions and their bundles.
        folder: where bundles are brought to.
        endpoint: whose log tells of it.
        stream: names cluster, topic and consumer group.
        beside: what rows carry besides.
        every: seconds between two looks.
    """

    def __init__(
        self,
        version: Callable[[], ModelVersion],
        workspace: Workspace,
        folder: Path,
        *,
        endpoint: str,
        stream: str,
        beside: Beside,
        every: float,
    ) -> None:
        self._version = version
        self._workspace = workspace
        self._folder = folder
        self._endpoint = endpoint
        self._stream = stream
        self._beside = beside
        self._every = every
        self._judge = self._load(version())
        self._earlier: Judge | None = None
        self._looked = time.monotonic()

    def __call__(self) -> Judge:
        """The judge. While a newer version cannot be found or loaded, the one before goes on."""
        if time.monotonic() - self._looked >= self._every:
            try:
                found = self._version()
                if found.id != self._judge.version_id:
                    self._judge = self._load(found)
                    _logger.info("version %d scores from here on", found.number)
            except (KeptError, OSError) as error:
                _logger.warning("going on with version %d: %s", self._judge.note.number, error)
            self._looked = time.monotonic()
        return self._judge

    def of(self, version_id: str) -> Judge | None:
        """The judge of a version that scored before; None when the version is no more. The last one that was asked for is kept."""
        for known in (self._judge, self._earlier):
            if known is not None and known.version_id == version_id:
                return known
        with self._workspace.database.reading() as connection:
            found = version_by_id(connection, version_id)
        try:
            self._earlier = None if found is None else self._load(found)
        except (NotFound, Damaged) as error:
            _logger.warning("%s", error)
            self._earlier = None
        if self._earlier is None:
            _logger.warning("what version %s answered is answered by another now: it is no more", version_id)
        return self._earlier

    def _load(self, version: ModelVersion) -> Judge:
        folder = fetch_bundle(
            version.bundle, self._workspace.blobs, self._folder / version.bundle.removeprefix("sha256:")
        )
        arm = Arm(version_id=version.id, number=version.number, model=version.model, bundle=version.bundle)
        model = LoadedModel(folder, digest=version.bundle, here=True)
        return Judge(self._endpoint, arm, model, self._stream, self._beside)
