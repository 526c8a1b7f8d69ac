"""The files of `kept.serving` and of what it imports, and nothing else: what an image needs to answer predictions."""

import ast
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from kept.packaging.explaining.recipe import RECIPE
from kept.packaging.manifest import Manifest

_ENTRY = "kept.serving.__main__"
_EXPLAINS = "kept.serving.explaining.child"
# What a bundle needs that is not ONNX: the process that runs it, and what that imports by name.
_PYTHON_RUNTIME = ["kept.serving.children.child", "kept.packaging.sklearn_model"]


def copy_serving_part(manifest: Manifest, to: Path) -> list[str]:
    """Copies the modules that serve a bundle of this kind under the folder `to`, and gives their names.

    They are read, not run: imports that only types need are left out.
    """
    entries = [_ENTRY]
    if manifest.runtime != "onnx":
        entries += _PYTHON_RUNTIME
    if any(file.name == RECIPE for file in manifest.files):
        entries.append(_EXPLAINS)
    names = modules_of(entries)
    for name, source in names.items():
        target = to.joinpath(*name.split("."))
        target = target / "__init__.py" if source.name == "__init__.py" else target.with_suffix(".py")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return sorted(names)


def modules_of(entries: list[str]) -> dict[str, Path]:
    """The modules of Kept that these reach by their imports, with their files."""
    found: dict[str, Path] = {}
    ahead = list(entries)
    while ahead:
        name = ahead.pop()
        source = _file_of(name)
        if source is None or name in found:
            continue
        found[name] = source
        # A package's own file runs before its modules do.
        ahead += [name.rpartition(".")[0], *_imports(ast.parse(source.read_text(encoding="utf-8")))]
    return found


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            # `from package import module` names a module too.
            yield from (f"{node.module}.{one.name}" for one in node.names)
        yield from _imports(node)


def _file_of(name: str) -> Path | None:
    if name.partition(".")[0] != "kept":
        return None
    try:
        specification = find_spec(name)
    except ModuleNotFoundError:
        return None
    return Path(specification.origin) if specification and specification.origin else None
