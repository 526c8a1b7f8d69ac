"""What is logged to a run beside its parameters and tags: points of metrics, datasets it read, models it made."""

import math
from typing import TYPE_CHECKING

import msgspec

# JSON has no NaN and no infinities: what is not finite travels as null, or comes as its name.
if TYPE_CHECKING:
    Value = float
else:
    Value = float | str | None
_NAMES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Point(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One value of a metric. Values are exact: NaN and the infinities are kept as such."""

    name: str
    value: Value
    """In JSON null stands for NaN, and with `infinite` for an infinity; "NaN", "Infinity", "-Infinity" are taken too."""
    at: int
    """When it was measured: milliseconds since 1970 in UTC."""
    step: int = 0
    model: str | None = None
    """The logged model that was measured, where it was not the run as a whole."""
    dataset_name: str | None = None
    dataset_digest: str | None = None
    infinite: int = 0
    """The sign of an infinite value; it is set by itself."""

    def __post_init__(self) -> None:
        """Makes the value a float and `infinite` its sign, whichever way it came."""
        value = self.value
        if value.__class__ is float and value - value == 0.0:
            return
        number = _number(value, self.infinite)
        msgspec.structs.force_setattr(self, "value", number)
        msgspec.structs.force_setattr(self, "infinite", int(math.copysign(1, number)) if math.isinf(number) else 0)


def _number(value: object, infinite: int) -> float:
    if value is None:
        return math.copysign(math.inf, infinite) if infinite else math.nan
    if isinstance(value, str):
        if value not in _NAMES:  # a ValueError, which the decoder tells as what was wrong with the request
            raise ValueError(f"{value!r} is not a number")
        return _NAMES[value]
    return float(value)  # type: ignore[arg-type] # its type says what else it can be


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
