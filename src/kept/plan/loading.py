"""Loading a project from the file that declares it. The file is the owner's own code: only an owner names it."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from kept.core.errors import Invalid, KeptError, NotFound
from kept.plan.project import Project


def load_module(path: Path) -> ModuleType:
    """The module of a project file; its folder is importable, so it can be split into several files."""
    path = path.resolve()
    if not path.is_file():
        fix = "Name the file with --project, or write one with kept init"
        raise NotFound("there is no such project file", where=str(path), fix=fix)
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = path.stem
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise Invalid("it is not a Python file", where=str(path), fix="Name a file that ends in .py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except KeptError:
        del sys.modules[name]
        raise
    except Exception as error:
        del sys.modules[name]
        raise Invalid(f"it cannot be loaded ({type(error).__name__}: {error})", where=str(path)) from error
    return module


def load_project(path: Path) -> Project:
    """The one project that a file declares."""
    projects = {id(value): value for value in vars(load_module(path)).values() if isinstance(value, Project)}
    if len(projects) != 1:
        fix = 'Write project = kept.Project("name", ...)' if not projects else "Keep one project in a file"
        raise Invalid(f"it declares {len(projects)} projects", where=str(path), fix=fix)
    return next(iter(projects.values()))
