"""Facts of an import: experiments, runs with their points, and logged models as another server held them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from kept.core.digests import digest_json
from kept.core.errors import Invalid
from kept.tracking.experiment import Lifecycle
from kept.tracking.location import check_address
from kept.tracking.logged_model import ModelStatus
from kept.tracking.names import check_experiment_name, check_run_id
from kept.tracking.points import DatasetInput, ModelOutput, RunPoint
from kept.tracking.run import RunStatus

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_TEXT = 32 << 20
_LONGEST_NAME = 1_000
LARGEST_INTEGER = 2**63 - 1


class ImportedExperiment(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment as it was elsewhere; `id` is what it was called there."""

    id: str
    name: str
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    tags: dict[str, str] = {}
    created_at: datetime | None = None
    updated_at: datetime | None = None


class ImportedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it was elsewhere, without its points; `id` and `experiment` are what they were called there."""

    id: str
    experiment: str
    name: str = ""
    user: str = ""
    status: RunStatus = RunStatus.RUNNING
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    started_at: datetime | None = None
    ended_at: datetime | None = None
    deleted_at: datetime | None = None
    tags: dict[str, str] = {}
    params: dict[str, str] = {}
    datasets: list[DatasetInput] = []
    model_inputs: list[str] = []
    outputs: list[ModelOutput] = []
    location: str = ""
    """The address of its files there."""
    stays: bool = False
    """Whether its files could not be brought: then they are told to stand where they stood."""


class ImportedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A logged model as it was elsewhere; `id`, `experiment` and `run` are what they were called there."""

    id: str
    experiment: str
    name: str
    """'' where no more is known than that it was deleted: then it is called by its id, and stays what it is if it is here."""
    run: str | None = None
    type: str = ""
    status: ModelStatus = ModelStatus.READY
    status_message: str | None = None
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    tags: dict[str, str] = {}
    params: dict[str, str] = {}
    points: list[RunPoint] = []
    created_at: datetime
    updated_at: datetime
    location: str = ""
    stays: bool = False


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one metric of a run: the n-th of each list are the n-th point. NaN is a value."""

    run: str
    name: str
    at: list[int]
    """Milliseconds since 1970 in UTC."""
    step: list[int]
    value: list[float]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a thing that was brought, or is being brought. Its fields are columns of the table `imports`."""

    kind: str
    foreign: str
    local: str
    mark: str = ""
    """What it was when it was brought whole; '' until it is."""
    cursor: str = ""
    """Of a run: the last metric, by name, that is here whole."""


class ImportExperiments(msgspec.Struct, frozen=True, kw_only=True):
    """Experiments to bring. One whose name is taken is matched with the one that has it."""

    source: str
    experiments: list[ImportedExperiment]

    def for_audit(self) -> dict[str, Any]:
        """What is recorded of it."""
        return {"experiments": [one.name for one in self.experiments]}


class ImportRuns(msgspec.Struct, frozen=True, kw_only=True):
    """Runs, and points of runs that are among them or were brought before."""

    source: str
    runs: list[ImportedRun] = []
    series: list[Series] = []

    def for_audit(self) -> dict[str, Any]:
        """What is recorded of it."""
        points = sum(len(one.at) for one in self.series)
        return {"runs": len(self.runs), "points": points, "digest": digest_json(self.runs)}


class ImportModels(msgspec.Struct, frozen=True, kw_only=True):
    """Logged models to bring."""

    source: str
    models: list[ImportedModel]

    def for_audit(self) -> dict[str, Any]:
        """What is recorded of it."""
        return {"models": [one.id for one in self.models], "digest": digest_json(self.models)}


class ImportedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was written to its place."""

    path: str
    size: int
    digest: str


class ImportFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Files that were brought."""

    source: str
    files: list[ImportedFile]

    def for_audit(self) -> dict[str, Any]:
        """What is recorded of it."""
        size = sum(one.size for one in self.files)
        return {"files": len(self.files), "bytes": size, "digest": digest_json(self.files)}


class SettleImport(msgspec.Struct, frozen=True, kw_only=True):
    """Things that are here whole, or how far they are."""

    source: str
    things: list[Known]


class ListImported(msgspec.Struct, frozen=True, kw_only=True):
    """What was brought from a source."""

    source: str


class ImportAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch."""

    local: dict[str, str]
    """What each thing is called here."""
    new: int = 0
    changed: int = 0
    matched: int = 0
    """Things that were here before under the same name, from elsewhere."""
    points: int = 0
    """Points that were not here before."""


def moment(milliseconds: Any, *, where: str) -> datetime | None:
    """The moment of milliseconds since 1970; None for None."""
    if milliseconds is None:
        return None
    try:
        return _EPOCH + timedelta(milliseconds=int(milliseconds))
    except (OverflowError, ValueError, TypeError) as error:
        raise Invalid(f"{milliseconds!r:.40} is no time", where=where) from error


def moment_at(milliseconds: Any, *, where: str) -> datetime:
    """The moment of milliseconds since 1970; that of 0 for None."""
    return moment(milliseconds, where=where) or _EPOCH


def check_experiment(experiment: ImportedExperiment) -> None:
    """Refuses an experiment that can not be kept."""
    check_experiment_name(experiment.name)
    check_texts(f"experiment {experiment.id!r:.60}", {"": experiment.name, **experiment.tags})


def check_run(run: ImportedRun) -> None:
    """Refuses a run that can not be kept. What is only longer than clients may log today is kept."""
    check_run_id(run.id)
    where = f"run {run.id}"
    check_texts(where, {"": run.name, "user": run.user, "location": run.location})
    check_address(run.location, where)
    check_texts(where, run.tags)
    check_texts(where, run.params)
    for read in run.datasets:
        dataset = read.dataset
        texts = (dataset.name, dataset.digest, dataset.source_type, dataset.source, dataset.schema, dataset.profile)
        check_texts(where, {str(place): text or "" for place, text in enumerate(texts)})
        check_texts(where, read.tags)
    for one in (*run.model_inputs, *(made.model for made in run.outputs)):
        check_run_id(one)


def check_model(model: ImportedModel) -> None:
    """Refuses a logged model that can not be kept."""
    check_run_id(model.id)
    where = f"logged model {model.id}"
    check_texts(where, {"": model.name, "type": model.type, "message": model.status_message or ""})
    check_address(model.location, where)
    check_texts(where, model.tags)
    check_texts(where, model.params)


def check_texts(where: str, texts: Mapping[str, str]) -> None:
    """Refuses names and texts that no database can hold, and those of an absurd size."""
    for name, text in texts.items():
        if len(name) > _LONGEST_NAME or len(text) > _LONGEST_TEXT:
            raise Invalid(f"the text {name[:60]!r} is longer than can be kept", where=where)
        if "\0" in name or "\0" in text:
            raise Invalid(f"the text {name[:60]!r} holds the character NUL", where=where)
        try:
            name.encode()
            text.encode()
        except UnicodeEncodeError as error:
            raise Invalid(f"the text {name[:60]!r} is no Unicode", where=where) from error
