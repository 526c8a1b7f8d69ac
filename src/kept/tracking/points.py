"""What is logged to a run beside its parameters and tags: points of metrics, datasets it read, models it made."""

import msgspec


class Point(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One value of a metric. Values are exact: NaN and the infinities are kept as such."""

    name: str
    value: float
    at: int
    """When it was measured: milliseconds since 1970 in UTC."""
    step: int = 0
    model: str | None = None
    """The logged model that was measured, where it was not the run as a whole."""
    dataset_name: str | None = None
    dataset_digest: str | None = None


class RunPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A point and the run it belongs to."""

    run: str
    point: Point


class Dataset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A dataset as a client describes it; the same name and digest are the same dataset of an experiment."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None


class DatasetInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A dataset that a run read, and what for."""

    dataset: Dataset
    tags: dict[str, str] = {}


class ModelOutput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A logged model that a run made at a step."""

    model: str
    step: int = 0


class PointPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a history, and the token of the next one, or None when this is the last."""

    points: list[Point]
    next_page: str | None = None


class DatasetSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset that runs of an experiment read, and what for."""

    experiment: str
    name: str
    digest: str
    context: str | None
