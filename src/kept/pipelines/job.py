"""Messages between executor and step process, as JSON: the job, and its result."""

from enum import StrEnum
from typing import Any

import msgspec

from kept.core import errors
from kept.core.errors import KeptError
from kept.governance.actor import Actor
from kept.pipelines.function_reference import Reference


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One try of one step."""

    run_id: str
    project: str
    step: str
    attempt: int
    seed: int
    function: Reference
    outputs: dict[str, str]
    """Parameter -> digest of the output it receives."""
    values: dict[str, Any]
    """Parameter -> plain value."""
    takes_context: bool
    opener: str
    """`module:function` that opens the workspace from `root`."""
    root: str
    actor: Actor
    log: str
    """File to which everything printed is added."""
    scratch: str
    """Folder of this try alone, there until it ends."""
    timeout: float | None = None
    """Seconds."""


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """How far a step has come."""

    done: float | None = None
    total: float | None = None
    text: str = ""


class Cause(StrEnum):
    """Why a try gave no output."""

    RAISED = "raised"
    TIMEOUT = "timeout"
    DIED = "died"
    MEMORY = "memory"
    CANCELLED = "cancelled"


class Failure(msgspec.Struct, frozen=True, kw_only=True, tag="failure"):
    """A try without output, and why."""

    cause: Cause
    what: str
    where: str | None = None
    fix: str | None = None
    error: str = "KeptError"
    """Its class in the error tree."""

    @property
    def may_pass(self) -> bool:
        """Whether trying again may help: not for an error that says what is wrong with code or data."""
        return self.cause is not Cause.CANCELLED and self.error in {"KeptError", "Unavailable", "Away"}

    def raised(self) -> KeptError:
        """The failure as the error that it was."""
        kind: type[KeptError] = getattr(errors, self.error, KeptError)
        return kind(self.what, where=self.where, fix=self.fix)


class Output(msgspec.Struct, frozen=True, kw_only=True, tag="output"):
    """A try that gave an output."""

    digest: str
    memory_bytes: int = 0
    """What the process holds afterwards."""


Outcome = Output | Failure
Answer = Progress | Output | Failure
