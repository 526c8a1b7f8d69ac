"""Frames that a logging process hands on, each with its position, so that each is stored once."""

import math
from datetime import datetime

import msgspec

from kept.tracking.points import Point
from kept.tracking.run import RunStatus

_NAMES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Begun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A run that the process began, in the experiment of this name, which is made when it is not there."""

    experiment: str
    name: str = ""
    user: str = ""
    at: datetime
    seed: int = 0
    parent: str | None = None


class Ended(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The end of a run, and why it failed."""

    status: RunStatus
    at: datetime
    error: str | None = None


class Logged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What was measured at one moment: values by metric."""

    at: int
    """Milliseconds since 1970 in UTC."""
    step: int
    values: dict[str, float] = {}
    special: dict[str, str] = {}
    """The values that JSON has no numbers for: NaN, Infinity or -Infinity."""

    def points(self) -> list[Point]:
        """One point for each value."""
        values = (
            self.values | {name: _NAMES[value] for name, value in self.special.items()} if self.special else self.values
        )
        return [Point(name=name, value=value, at=self.at, step=self.step) for name, value in values.items()]

    def __post_init__(self) -> None:
        """Refuses a special value that there is not; the decoder tells it as what was wrong with the request."""
        for value in self.special.values():
            if value not in _NAMES:
                raise ValueError(f"{value!r} is not one of {', '.join(_NAMES)}")


class FileNote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file of the run: where it stands among the run's files, and under which name it waits."""

    path: str
    waiting: str


class Frame(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Something that a process logged. The larger the position, the later."""

    position: int = 0
    begun: Begun | None = None
    logged: list[Logged] = []
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    file: FileNote | None = None
    """It is put down before the frame is sent; here it stands for its place in the order."""
    ended: Ended | None = None


class ReceiveFrames(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frames of a run from one writer (one process, one opening of the run) in the order of their positions."""

    run: str
    writer: str
    frames: list[Frame]


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A frame that can not be kept, and why; what follows it is kept."""

    position: int
    reason: str


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """How far the writer was heard: frames up to this position are kept, and are left when they are sent again."""

    position: int
    location: str
    """The address under which the run's files stand."""
    refused: list[Refusal] = []
