"""Kept keeps machine-learning models in production.

The public face is lazy: a name is imported when it is first used, so `import kept` stays cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kept.plan.objective import Objective as Objective
    from kept.plan.objective import at_least as at_least
    from kept.plan.objective import at_most as at_most
    from kept.plan.project import Project as Project

__version__ = "0.1.0"

_FACE = {
    "Objective": "kept.plan.objective",
    "at_least": "kept.plan.objective",
    "at_most": "kept.plan.objective",
    "Project": "kept.plan.project",
}

__all__ = ["Objective", "Project", "__version__", "at_least", "at_most"]


def __getattr__(name: str) -> Any:
    if name in _FACE:
        return getattr(import_module(_FACE[name]), name)
    raise AttributeError(f"module 'kept' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
