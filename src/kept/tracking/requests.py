"""Request structs of the operations on experiments, runs and logged models.

A filter is text in the search language or the terms it was read into, an order text or the key it was read into.
"""

from datetime import datetime

import msgspec

from kept.tracking.experiment import View
from kept.tracking.filtering import Order, Term
from kept.tracking.logged_model import ModelStatus
from kept.tracking.points import DatasetInput, ModelOutput, Point
from kept.tracking.run import RunStatus

PAGE = 1_000
LARGEST_PAGE = 50_000


class CreateExperiment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new experiment. Without a location its files stand with the server."""

    name: str
    artifact_location: str | None = None
    tags: dict[str, str] = {}


class ShowExperiment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One experiment, deleted or not."""

    experiment: str


class FindExperiment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The experiment with a name, deleted or not."""

    name: str


class SearchExperiments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Experiments that fit; newest first unless ordered otherwise."""

    filter: str | list[Term] = ""
    order_by: list[str] = []
    view: View = View.ACTIVE
    limit: int = PAGE
    page: str | None = None


class UpdateExperiment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new name for an experiment."""

    experiment: str
    name: str


class DeleteExperiment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An experiment to delete with its runs, and why."""

    experiment: str
    reason: str = ""


class RestoreExperiment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A deleted experiment to bring back with its runs, and why."""

    experiment: str
    reason: str = ""


class SetExperimentTag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tag of an experiment."""

    experiment: str
    name: str
    value: str


class DeleteExperimentTag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tag of an experiment to remove."""

    experiment: str
    name: str


class CreateRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new run of an experiment, begun at once. An `id` that is given must be new."""

    experiment: str
    name: str = ""
    user: str = ""
    started_at: datetime | None = None
    tags: dict[str, str] = {}
    parent: str | None = None
    id: str | None = None


class UpdateRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What changes of a run; None leaves as it is."""

    run: str
    status: RunStatus | None = None
    ended_at: datetime | None = None
    name: str | None = None


class DeleteRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run to delete, and why."""

    run: str
    reason: str = ""


class RestoreRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A deleted run to bring back, and why."""

    run: str
    reason: str = ""


class LogRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Points, parameters and tags of a run: all of them are kept, or none."""

    run: str
    metrics: list[Point] = []
    params: dict[str, str] = {}
    """A parameter never changes; the same value again is no change."""
    tags: dict[str, str] = {}


class SetRunTag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tag of a run."""

    run: str
    name: str
    value: str


class DeleteRunTag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tag of a run to remove."""

    run: str
    name: str


class SearchRuns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Runs of experiments that fit; begun last first unless ordered otherwise."""

    experiments: list[str]
    filter: str | list[Term] = ""
    order_by: list[str | Order] = []
    view: View = View.ACTIVE
    limit: int = PAGE
    page: str | None = None


class MetricHistory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The points of a metric of a run by time, step and value. Without a limit, all of them."""

    run: str
    name: str
    limit: int | None = None
    page: str | None = None


class MetricHistoryBulk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The points of a metric of several runs.

    Without `sample`: by run, time, step and value, at most `limit` in all. With it: at most so many of each run,
    evenly chosen by step with the first and the last, of the steps from `start_step` to `end_step`.
    """

    runs: list[str]
    name: str
    limit: int = 25_000
    sample: int | None = None
    start_step: int | None = None
    end_step: int | None = None


class LogInputs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Datasets and logged models that a run read."""

    run: str
    datasets: list[DatasetInput] = []
    models: list[str] = []


class LogOutputs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Logged models that a run made."""

    run: str
    models: list[ModelOutput]


class SearchDatasets(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Datasets that runs of these experiments read."""

    experiments: list[str]
    limit: int = 1_000


class CreateLoggedModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A logged model that is about to be put down."""

    experiment: str
    name: str = ""
    run: str | None = None
    type: str = ""
    tags: dict[str, str] = {}
    params: dict[str, str] = {}


class ShowLoggedModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One logged model; a deleted one only when asked for."""

    model: str
    deleted: bool = False


class FinalizeLoggedModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A logged model that was put down, or could not be."""

    model: str
    status: ModelStatus


class DatasetFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Only points measured on this dataset."""

    name: str
    digest: str | None = None


class SearchLoggedModels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Logged models of experiments that fit; newest first unless ordered otherwise."""

    experiments: list[str]
    filter: str | list[Term] = ""
    datasets: list[DatasetFilter] = []
    order_by: list[Order] = []
    limit: int = 100
    page: str | None = None


class SetLoggedModelTags(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tags of a logged model."""

    model: str
    tags: dict[str, str]


class DeleteLoggedModelTag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tag of a logged model to remove."""

    model: str
    name: str


class LogLoggedModelParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of a logged model."""

    model: str
    params: dict[str, str]


class DeleteLoggedModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A logged model to delete, and why."""

    model: str
    reason: str = ""
