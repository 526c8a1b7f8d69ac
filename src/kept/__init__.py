"""Kept keeps machine-learning models in production.

The public face is lazy: a name is imported when it is first used, so `import kept` stays cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kept.app.opened import open as open  # noqa: A004 - `kept.open` is its name
    from kept.app.packaged import package as package
    from kept.app.tracked.opening import track as track
    from kept.app.tracked.run import TrackedRun as TrackedRun
    from kept.data.reading import read_table as read_table
    from kept.plan.objective import Objective as Objective
    from kept.plan.objective import at_least as at_least
    from kept.plan.objective import at_most as at_most
    from kept.plan.policy import broken as broken
    from kept.plan.policy import decay as decay
    from kept.plan.policy import drift as drift
    from kept.plan.policy import estimated as estimated
    from kept.plan.policy import every as every
    from kept.plan.policy import fall_back as fall_back
    from kept.plan.policy import new_data as new_data
    from kept.plan.policy import when as when
    from kept.plan.project import Project as Project
    from kept.plan.search import choices as choices
    from kept.plan.search import floats as floats
    from kept.plan.search import ints as ints
    from kept.plan.split import at_random as at_random
    from kept.plan.split import by_group as by_group
    from kept.plan.split import by_time as by_time
    from kept.plan.split import stratified as stratified

__version__ = "0.1.0"

_FACE = {
    "read_table": "kept.data.reading",
    "Objective": "kept.plan.objective",
    "at_least": "kept.plan.objective",
    "at_most": "kept.plan.objective",
    "broken": "kept.plan.policy",
    "decay": "kept.plan.policy",
    "drift": "kept.plan.policy",
    "estimated": "kept.plan.policy",
    "every": "kept.plan.policy",
    "fall_back": "kept.plan.policy",
    "new_data": "kept.plan.policy",
    "when": "kept.plan.policy",
    "Project": "kept.plan.project",
    "choices": "kept.plan.search",
    "floats": "kept.plan.search",
    "ints": "kept.plan.search",
    "at_random": "kept.plan.split",
    "by_group": "kept.plan.split",
    "by_time": "kept.plan.split",
    "stratified": "kept.plan.split",
    "open": "kept.app.opened",
    "package": "kept.app.packaged",
    "track": "kept.app.tracked.opening",
    "TrackedRun": "kept.app.tracked.run",
}

__all__ = [
    "Objective",
    "Project",
    "TrackedRun",
    "__version__",
    "at_least",
    "at_most",
    "at_random",
    "broken",
    "by_group",
    "by_time",
    "choices",
    "decay",
    "drift",
    "estimated",
    "every",
    "fall_back",
    "floats",
    "ints",
    "new_data",
    "open",
    "package",
    "read_table",
    "stratified",
    "track",
    "when",
]


def __getattr__(name: str) -> Any:
    if name in _FACE:
        return getattr(import_module(_FACE[name]), name)
    raise AttributeError(f"module 'kept' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
