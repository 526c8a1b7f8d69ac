"""Which names and values can be logged.

The rules and their sentences are those that clients of experiment tracking know: a name could stand for a file.
"""

import posixpath
import re
from functools import lru_cache

import msgspec

from kept.core.errors import Invalid
from kept.tracking.points import Dataset, DatasetInput

LONGEST_NAME = 250
LONGEST_PARAM = 6_000
LONGEST_TAG = 8_000
LONGEST_EXPERIMENT_NAME = 500
LONGEST_EXPERIMENT_TAG = 20_000
_ALLOWED = re.compile(r"[/\w.\- :]*\Z")
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}\Z")
_LARGEST_INTEGER = 2**63 - 1
_DATASET_LIMITS = {"name": 500, "digest": 36, "source": 65_535, "schema": 1_048_575, "profile": 16_777_215}
_INPUT_TAG_LIMITS = (255, 500)

RUN_NAME_TAG = "mlflow.runName"
"""The tag in which clients hold the name of a run; it is always the name."""
PARENT_TAG = "mlflow.parentRunId"
"""The tag in which clients hold the run that this one is a part of."""


def check_name(name: str, path: str) -> None:
    """Refuses what is no name of a metric, a parameter or a tag; `path` says where it stands in what was sent."""
    reason = _name_fault(name)
    if reason:
        raise Invalid(f"Invalid value {msgspec.json.encode(name).decode()} for parameter '{path}' supplied: {reason}")


def check_length(what: str, value: str, longest: int) -> None:
    """Refuses a text that is longer than what can be kept."""
    if len(value) > longest:
        raise Invalid(f"'{what}' exceeds the maximum length of {longest} characters")


def check_metric(name: str, at: int, step: int, path: str = "name") -> None:
    """Refuses a point that could not be kept exactly."""
    check_name(name, path)
    check_length("Metric name", name, LONGEST_NAME)
    if not 0 <= at <= _LARGEST_INTEGER:
        raise Invalid(
            f"Invalid value {at} for parameter 'timestamp' supplied: metric '{name}'. "
            "Timestamp must be a nonnegative long (64-bit integer) "
        )
    if not -_LARGEST_INTEGER - 1 <= step <= _LARGEST_INTEGER:
        raise Invalid(
            f"Invalid value {step} for parameter 'step' supplied: metric '{name}'. "
            "Step must be a valid long (64-bit integer)."
        )


def check_param(name: str, value: str, path: str = "key") -> None:
    """Refuses a parameter that can not be kept."""
    check_name(name, path)
    check_length("Param key", name, LONGEST_NAME)
    check_length("Param value", value, LONGEST_PARAM)


def check_tag(name: str, value: str, path: str = "key", longest: int = LONGEST_TAG) -> None:
    """Refuses a tag that can not be kept."""
    check_name(name, path)
    check_length("key", name, LONGEST_NAME)
    check_length("value", value, longest)


def check_experiment_name(name: str) -> None:
    """Refuses what can not be the name of an experiment."""
    if not name:
        raise Invalid(f"Invalid experiment name: '{name}'")
    check_length("name", name, LONGEST_EXPERIMENT_NAME)


def check_run_id(run_id: str) -> None:
    """Refuses what can not be the id of a run: it stands in addresses of files."""
    if not _RUN_ID.match(run_id):
        raise Invalid(f"Invalid value {msgspec.json.encode(run_id).decode()} for parameter 'run_id' supplied.")


def check_dataset(read: DatasetInput) -> None:
    """Refuses a dataset whose description is longer than what can be kept."""
    dataset: Dataset = read.dataset
    for field, longest in _DATASET_LIMITS.items():
        check_length(field, getattr(dataset, field) or "", longest)
    for name, value in read.tags.items():
        check_length("key", name, _INPUT_TAG_LIMITS[0])
        check_length("value", value, _INPUT_TAG_LIMITS[1])


@lru_cache(maxsize=20_000)
def _name_fault(name: str) -> str:
    if not _ALLOWED.match(name):
        return (
            "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.),"
            " spaces ( ), colon(:) and slashes (/)."
        )
    plain = posixpath.normpath(name)
    if plain != name or plain == "." or plain.startswith(("..", "/")):
        return (
            "Names may be treated as files in certain cases, and must not resolve to other names"
            f" when treated as such. This name would resolve to {plain!r}"
        )
    return ""
