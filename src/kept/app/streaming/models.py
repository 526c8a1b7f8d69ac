"""The model that scores a stream: looked up again and again, so that a release reaches the stream without a restart."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from kept.app.streaming.judging import Beside, Judge
from kept.core.errors import KeptError
from kept.deployment.routing import Arm
from kept.packaging.bundle import fetch_bundle
from kept.registry.model import ModelVersion
from kept.serving.runtime import LoadedModel
from kept.store.blobs import Blobs

_logger = logging.getLogger("kept.stream")


class CurrentModel:
    """Gives the judge of the version that is meant now.

    Args:
        version: finds that version.
        blobs: give its bundle.
        folder: where bundles are brought to.
        endpoint: whose log tells of it.
        group: the consumer group.
        beside: what rows carry besides.
        every: seconds between two looks.
    """

    def __init__(
        self,
        version: Callable[[], ModelVersion],
        blobs: Blobs,
        folder: Path,
        *,
        endpoint: str,
        group: str,
        beside: Beside,
        every: float,
    ) -> None:
        self._version = version
        self._blobs = blobs
        self._folder = folder
        self._endpoint = endpoint
        self._group = group
        self._beside = beside
        self._every = every
        self._judge = self._load(version())
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

    def _load(self, version: ModelVersion) -> Judge:
        folder = fetch_bundle(version.bundle, self._blobs, self._folder / version.bundle.removeprefix("sha256:"))
        arm = Arm(version_id=version.id, number=version.number, model=version.model, bundle=version.bundle)
        model = LoadedModel(folder, digest=version.bundle, here=True)
        return Judge(self._endpoint, arm, model, self._group, self._beside)
