"""A step: a plain function with a name, wired to other steps by the names of its parameters."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from kept.core.errors import Invalid

_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


@dataclass(frozen=True)
class Step:
    """One step of a pipeline.

    A parameter that is named like another step receives that step's output; `context` receives the `StepContext`; any
    other is looked up among the inputs of the run, or keeps its default.
    """

    name: str
    function: Callable[..., Any]
    """A function at the top of a module or project file."""
    retries: int = 0
    """How many times it is tried again when it raises an error that may pass, runs out of time, or its process dies."""
    timeout: timedelta | None = None
    version: str = ""
    """Part of the cache key: change it to have the step run again."""
    cache: bool = True
    """False for a step that does more than give its output, or depends on more than its inputs."""
    uses: tuple[Callable[..., Any], ...] = ()
    """Functions whose code is part of what the step does though it does not name them."""
    files: tuple[Path, ...] = ()
    """Files it reads: their content is part of the cache key."""

    def __post_init__(self) -> None:
        where = f"step {self.name!r}"
        if not _NAME.match(self.name) or self.name == "context":
            fix = "Use letters, digits and underscores, as in a Python name; `context` is taken"
            raise Invalid("the name cannot be used", where=where, fix=fix)
        if self.retries < 0:
            raise Invalid(f"retries={self.retries} is below 0", where=where, fix="Write 0 or more")
        if self.timeout is not None and self.timeout <= timedelta(0):
            raise Invalid("its timeout is not above 0", where=where, fix="Write a length of time such as 10m")
