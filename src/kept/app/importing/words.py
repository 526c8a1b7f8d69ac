"""MLflow's vocabulary (keys, tags, states) that its server, database and folder share."""

from typing import Any

from kept.core.errors import Invalid
from kept.registry.registered import Stage
from kept.tracking.experiment import Lifecycle
from kept.tracking.logged_model import ModelStatus
from kept.tracking.run import RunStatus

PROMPT_TAG = "mlflow.prompt.is_prompt"
DELETED_STAGE = "Deleted_Internal"
"""The stage under which a version that was deleted stays behind."""
NO_PLACE = "Kept has no place for it"
SECRETIVE = "their secrets can not be read: make them again with MLflow's client"
_RUN_STATUS = {
    "SCHEDULED": RunStatus.QUEUED,
    "RUNNING": RunStatus.RUNNING,
    "FINISHED": RunStatus.FINISHED,
    "FAILED": RunStatus.FAILED,
    "KILLED": RunStatus.CANCELLED,
}
# The numbers that its files hold.
_RUN_NUMBERS = dict(enumerate(("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"), start=1))
_MODEL_NUMBERS = {0: ModelStatus.PENDING, 1: ModelStatus.PENDING, 2: ModelStatus.READY, 3: ModelStatus.FAILED}
_MODEL_STATUS = {
    "LOGGED_MODEL_PENDING": ModelStatus.PENDING,
    "LOGGED_MODEL_READY": ModelStatus.READY,
    "LOGGED_MODEL_UPLOAD_FAILED": ModelStatus.FAILED,
    "PENDING": ModelStatus.PENDING,
    "READY": ModelStatus.READY,
    "FAILED": ModelStatus.FAILED,
}


def run_status(said: Any, *, where: str) -> RunStatus:
    """A run's status by name or number; running when nothing is said."""
    name = _RUN_NUMBERS.get(said) if isinstance(said, int) else said or "RUNNING"
    if name not in _RUN_STATUS:
        raise Invalid(f"{said!r:.40} is no status of a run", where=where)
    return _RUN_STATUS[name]


def model_status(said: Any, *, where: str) -> ModelStatus:
    """A logged model's status by name or number."""
    found = _MODEL_NUMBERS.get(said) if isinstance(said, int) else _MODEL_STATUS.get(str(said or "READY"))
    if found is None:
        raise Invalid(f"{said!r:.40} is no status of a logged model", where=where)
    return found


def lifecycle(said: Any) -> Lifecycle:
    """Deleted where that is said; else in use."""
    return Lifecycle.DELETED if said == "deleted" else Lifecycle.ACTIVE


def stage(said: Any) -> Stage:
    """The stage of a name; none for what is no stage."""
    return next((one for one in Stage if one.value.lower() == str(said or "").lower()), Stage.NONE)


def text(said: Any) -> str:
    """Text as it is, nothing as no text, anything else as Python writes it."""
    if said is None:
        return ""
    return said if isinstance(said, str) else str(said)


def logged_model_in(source: str) -> str | None:
    """The logged model that a version's source names (`models:/ID`); None where it names a version, or files."""
    named = source.removeprefix("models:/").strip("/") if source.startswith("models:/") else ""
    return named if named and "/" not in named and "@" not in named else None
