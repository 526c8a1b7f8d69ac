"""Loading a project from the file that declares it. The file is the owner's own code: only an owner names it."""

import importlib.util
import sys
import threading
import traceback
from pathlib import Path
from types import ModuleType

from kept.core.errors import Invalid, KeptError, NotFound
from kept.plan.project import Project

# Names of modules are the process's own: while one project finds its files by them, another must wait.
_loading = threading.RLock()


def load_module(path: Path) -> ModuleType:
    """The module of a project file; its folder is importable, so it can be split into several files.

    Files of two projects may have the same names: each project imports its own.
    """
    path = path.resolve()
    if not path.is_file():
        fix = "Name the file with --project, or write one with kept init"
        raise NotFound("there is no such project file", where=str(path), fix=fix)
    # A file that is called like a module of the interpreter must not take its place.
    name = f"{path.stem}__of_project" if path.stem in sys.stdlib_module_names else path.stem
    with _loading:
        loaded = sys.modules.get(name)
        if loaded is not None and _file_of(loaded) == path:
            return loaded
        specification = importlib.util.spec_from_file_location(name, path)
        if specification is None or specification.loader is None:
            raise Invalid("it is not a Python file", where=str(path), fix="Name a file that ends in .py")
        _come_first(path.parent)
        module = importlib.util.module_from_spec(specification)
        sys.modules[name] = module
        try:
            specification.loader.exec_module(module)
        except BaseException as error:
            sys.modules.pop(name, None)
            if isinstance(error, KeptError) or not isinstance(error, Exception | SystemExit):
                raise
            what = f"it cannot be loaded ({type(error).__name__}: {error})"
            raise Invalid(
                what, where=_place(path, error), fix="Mend the file; it must load without doing work"
            ) from error
    return module


def _come_first(folder: Path) -> None:
    """Makes imports find the folder's files, also where another project has loaded files of these names."""
    if str(folder) in sys.path:
        sys.path.remove(str(folder))
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    own = {file.stem for file in folder.glob("*.py")} | {file.parent.name for file in folder.glob("*/__init__.py")}
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        if top in own - set(sys.stdlib_module_names) and _is_of_another_project(module, folder):
            del sys.modules[name]


def _is_of_another_project(module: ModuleType, folder: Path) -> bool:
    file = _file_of(module)
    if file is None or file.is_relative_to(folder):
        return False
    return not {"site-packages", "dist-packages"} & set(file.parts)


def _file_of(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file else None


def _place(path: Path, error: BaseException) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}, line {lines[-1]}" if lines else str(path)


def load_project(path: Path) -> Project:
    """The one project that a file declares."""
    projects = {id(value): value for value in vars(load_module(path)).values() if isinstance(value, Project)}
    if len(projects) != 1:
        fix = 'Write project = kept.Project("name", ...)' if not projects else "Keep one project in a file"
        raise Invalid(f"it declares {len(projects)} projects", where=str(path), fix=fix)
    return next(iter(projects.values()))
