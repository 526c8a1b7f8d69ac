"""The seam to an import's source: a server, a database or a folder gives the same stream of facts."""

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

import msgspec

from kept.registry.imported import ImportedRegisteredModel
from kept.tracking.imported import ImportedExperiment, ImportedModel, ImportedRun, Series


class FoundFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a run or a logged model."""

    path: str
    """Below the address of the files of its run or logged model, with `/`."""
    size: int | None = None
    modified: datetime | None = None
    """When it was last written, where that is known."""


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """What files belong to: a run or a logged model."""

    kind: str
    id: str
    experiment: str
    location: str
    """The address of the files."""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """How much there is; None where only reading all would tell."""

    runs: int | None = None
    points: int | None = None


class Source(Protocol):
    """Reads a tracking server's data, and writes nothing to it.

    What can not be read is noted in the report that it was made with, and left out; it raises `Unavailable` when the
    whole of it can not be reached.
    """

    address: str
    """What it is known by: without secrets, the same at every import."""
    local: bool
    """Whether looking through its files costs little."""

    def totals(self) -> Totals:
        """How much there is to read."""
        ...

    def experiments(self) -> Iterator[ImportedExperiment]:
        """All experiments, deleted ones too."""
        ...

    def runs(self, experiment: str) -> Iterator[ImportedRun]:
        """All runs of an experiment, deleted ones too."""
        ...

    def evidence(self, run: ImportedRun) -> str:
        """Text that tells cheaply of points that were added to the run."""
        ...

    def may_hide(self, run: ImportedRun) -> bool:
        """Whether points may have been added that the evidence does not tell of."""
        ...

    def series(self, run: ImportedRun, after: str) -> Iterator[Series]:
        """Points of the run in pieces, metric by metric in the order of their names, of those that come after a name."""
        ...

    def models(self, experiment: str) -> Iterator[ImportedModel]:
        """All logged models of an experiment."""
        ...

    def registered_models(self) -> Iterator[ImportedRegisteredModel]:
        """All registered models with their versions."""
        ...

    def files(self, holder: Holder) -> Iterator[FoundFile]:
        """All files of a run or logged model; `NotFound` when they are nowhere that can be read."""
        ...

    def pieces(self, holder: Holder, file: FoundFile) -> Iterator[bytes]:
        """The bytes of a file in pieces."""
        ...

    def count_left_out(self) -> None:
        """Notes in the report what there is that is not brought at all."""
        ...

    def close(self) -> None:
        """Gives connections back."""
        ...
