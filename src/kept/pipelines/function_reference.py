"""References to functions that another process can resolve: module, qualified name, and import folder."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from sysconfig import get_paths
from types import ModuleType
from typing import Any

import msgspec

from kept.core.errors import Invalid, NotFound


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A function that can be imported."""

    module: str
    qualname: str
    file: str
    folder: str
    """Where the import of `module` starts from."""


def reference_of(function: Callable[..., Any], *, where: str) -> Reference:
    """The function's reference. `Invalid` for what another process could not import: lambdas, inner functions, objects."""
    module, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    wrapped = getattr(function, "__wrapped__", None)
    if wrapped is not None:
        file = getattr(getattr(wrapped, "__code__", None), "co_filename", file)
    if module is None or qualname is None or file is None or "<" in qualname or not Path(file).is_file():
        fix = "Write it as a function at the top of a Python file: def step(...)"
        raise Invalid(f"{function!r} can not be imported by another process", where=where, fix=fix)
    path = Path(file).resolve()
    name, folder = _import_name(path, module)
    return Reference(module=name, qualname=qualname, file=str(path), folder=str(folder))


def load_function(reference: Reference) -> Callable[..., Any]:
    """Imports the function's module, from its own folder first, and gives the function."""
    found: Any = load_module(reference)
    for part in reference.qualname.split("."):
        if not hasattr(found, part):
            where = f"{reference.file}:{reference.qualname}"
            raise NotFound("there is no such function any more", where=where, fix="Restore it, or run again")
        found = getattr(found, part)
    if not callable(found):
        raise Invalid("it is not a function", where=f"{reference.file}:{reference.qualname}")
    function: Callable[..., Any] = found
    return function


def load_module(reference: Reference) -> ModuleType:
    """The module of a reference."""
    if reference.folder not in sys.path:
        sys.path.insert(0, reference.folder)
        importlib.invalidate_caches()
    loaded = sys.modules.get(reference.module)
    if loaded is None:
        loaded = importlib.import_module(reference.module)
    if _file_of(loaded) == reference.file:
        return loaded
    # Another module has this name, as when a project file is called like one of the standard library.
    alias = f"{reference.module}__of_project"
    specification = importlib.util.spec_from_file_location(alias, reference.file)
    if specification is None or specification.loader is None:
        raise Invalid("it is not a Python file", where=reference.file)
    module = importlib.util.module_from_spec(specification)
    sys.modules[alias] = module
    specification.loader.exec_module(module)
    return module


def forget_sources() -> None:
    """Drops every loaded module that may be edited, so that it is read afresh when it is imported again."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and not is_installed(file) and name != "__main__" and name.partition(".")[0] != "kept":
            del sys.modules[name]


@cache
def is_installed(file: str) -> bool:
    """Whether a file belongs to the interpreter or to an installed distribution, so that a version names its content."""
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return True
    return any(path.is_relative_to(place) for place in _interpreter())


@cache
def _interpreter() -> tuple[Path, ...]:
    paths = get_paths()
    return tuple({Path(paths[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def _file_of(module: ModuleType) -> str | None:
    file = getattr(module, "__file__", None)
    return str(Path(file).resolve()) if file else None


def _import_name(path: Path, module: str) -> tuple[str, Path]:
    """The dotted name under which a file is imported, and the folder from which."""
    place = path.parent if path.stem == "__init__" else path.with_suffix("")
    parts = module.split(".")
    if tuple(parts) == place.parts[-len(parts) :]:
        return module, place.parents[len(parts) - 1]
    # It was run as a script or loaded under another name.
    names, folder = [place.name], place.parent
    while (folder / "__init__.py").exists():
        names.insert(0, folder.name)
        folder = folder.parent
    return ".".join(names), folder
