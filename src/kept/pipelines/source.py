"""Static analysis of Python modules: what each name at the top of a module stands for, without importing anything."""

import ast
import hashlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path

from kept.core.errors import Invalid

DECLARATIONS = frozenset({"kept.Project", "kept.plan.project.Project"})
"""What builds a declaration: its parts reach the steps as inputs, so it is not code of theirs."""

# Python 3.11 counts how deep a tree is for all threads together, and gives up when another one came in between: whatever
# runs when memory is collected lets it.
_PARSING = threading.Lock()


@dataclass(frozen=True)
class Import:
    """A name that is bound by an import: a module, or an attribute of one."""

    module: str
    attribute: str | None


@dataclass(frozen=True)
class Definition:
    """Statements that bind a name: their content without comments and positions, and what they name themselves."""

    content: str
    chains: frozenset[tuple[str, ...]]
    """Dotted names, as tuples of their parts."""
    imports: dict[str, Import]
    """Imports inside of it."""


@dataclass
class Source:
    """A module's text, taken apart."""

    name: str
    path: Path
    definitions: dict[str, list[Definition]] = field(default_factory=dict)
    imports: dict[str, list[Import]] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    effects: list[Definition] = field(default_factory=list)
    """Statements that bind nothing yet do something when the module is imported."""


@lru_cache(maxsize=2_000)
def _parsed(name: str, path: Path, changed: int, size: int) -> Source:
    del changed, size  # they are what makes an edited file another one
    try:
        with _PARSING:
            tree = ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        raise Invalid(f"{error.msg} (line {error.lineno})", where=str(path), fix="Mend the line it names") from error
    return _Reader(name, path).read(tree)


def read_source(name: str, path: Path) -> Source:
    """The module in a file, read again when the file was changed."""
    found = path.stat()
    return _parsed(name, path, found.st_mtime_ns, found.st_size)


def file_digest(path: Path) -> str:
    """The digest of a file that is not Python text, such as an extension module."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def locate(name: str, folders: Iterable[str]) -> Path | None:
    """The file that an import of `name` would read, or None for what has no file. Nothing is imported."""
    places: list[str] | None = [*folders, *sys.path]
    origin: str | None = None
    for number, _ in enumerate(parts := name.split("."), 1):
        try:
            found = PathFinder.find_spec(".".join(parts[:number]), places)
        except (ImportError, ValueError):
            return None
        if found is None:
            return None
        origin = found.origin
        places = list(found.submodule_search_locations) if found.submodule_search_locations is not None else []
    return Path(os.path.realpath(origin)) if origin is not None and Path(origin).is_file() else None


class _Reader:
    """Takes one module apart."""

    def __init__(self, name: str, path: Path) -> None:
        self._source = Source(name=name, path=path)
        self._package = name if path.stem == "__init__" else name.rpartition(".")[0]
        self._declarations: set[str] = set()

    def read(self, tree: ast.Module) -> Source:
        for statement in tree.body:
            self._statement(statement)
        return self._source

    def _statement(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self._import(statement)
            return
        if self._says_nothing(statement):
            return
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            statement.decorator_list = [one for one in statement.decorator_list if not self._declares(one)]
        names = set(_bound(statement))
        if self._is_declaration(statement):
            self._declarations |= names
            return
        if isinstance(statement, ast.If | ast.Try | ast.With):
            for inner in ast.walk(statement):
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    self._import(inner)
        definition = self._definition(statement)
        for name in names:
            self._source.definitions.setdefault(name, []).append(definition)
        if not names:
            self._source.effects.append(definition)

    def _says_nothing(self, statement: ast.stmt) -> bool:
        """Whether a statement has no part in what steps do."""
        if isinstance(statement, ast.Expr):
            return isinstance(statement.value, ast.Constant) or self._declares(statement.value)
        return isinstance(statement, ast.Pass) or _is_main_guard(statement)

    def _import(self, statement: ast.Import | ast.ImportFrom) -> None:
        for name, found in self._imported(statement):
            if name == "*":
                self._source.stars.append(found.module)
            else:
                self._source.imports.setdefault(name, []).append(found)

    def _imported(self, statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Import]]:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, Import(alias.name, None)) if alias.asname else (top, Import(top, None))
            return
        module = statement.module or ""
        if statement.level:
            above = self._package.split(".")[: len(self._package.split(".")) - statement.level + 1]
            module = ".".join([*above, module] if module else above)
        for alias in statement.names:
            yield alias.asname or alias.name, Import(module, None if alias.name == "*" else alias.name)

    def _definition(self, statement: ast.stmt) -> Definition:
        chains: set[tuple[str, ...]] = set()
        imports: dict[str, Import] = {}
        nodes = list(ast.walk(statement))
        # Of a.b.c the whole chain counts, not a.b and a on their own.
        inner = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        for node in nodes:
            if isinstance(node, ast.Name | ast.Attribute) and id(node) not in inner:
                chains |= {chain for chain in [_chain(node)] if chain}
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
                # A name in quotes may be an annotation, or be looked up with getattr.
                chains.add((node.value,))
            elif isinstance(node, ast.Import | ast.ImportFrom):
                imports.update(self._imported(node))
            elif isinstance(node, ast.Call) and (module := _dynamic(node)):
                imports[f"import {module}"] = Import(module, None)
                chains.add((f"import {module}",))
        return Definition(content=ast.dump(statement), chains=frozenset(chains), imports=imports)

    def _is_declaration(self, statement: ast.stmt) -> bool:
        value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
        if not isinstance(value, ast.Call):
            return False
        chain = _chain(value.func)
        if not chain:
            return False
        for found in self._source.imports.get(chain[0], []):
            name = found.module if found.attribute is None else f"{found.module}.{found.attribute}"
            if ".".join([name, *chain[1:]]) in DECLARATIONS:
                return True
        return False

    def _declares(self, expression: ast.expr) -> bool:
        """Whether an expression only speaks to a declaration: `@project.step(...)`, `project.retrain(...)`."""
        called = expression.func if isinstance(expression, ast.Call) else expression
        chain = _chain(called)
        return bool(chain) and chain[0] in self._declarations


def _chain(node: ast.expr) -> tuple[str, ...]:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if isinstance(node, ast.Name) else ()


def _bound(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement at the top of a module binds or changes."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            yield node.id
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            # TABLE["x"] = 1 changes what TABLE stands for.
            inner: ast.expr = node
            while isinstance(inner, ast.Attribute | ast.Subscript):
                inner = inner.value
            if isinstance(inner, ast.Name):
                yield inner.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name


def _dynamic(call: ast.Call) -> str | None:
    chain = _chain(call.func)
    if chain and chain[-1] in {"import_module", "__import__"} and call.args:
        first = call.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str) and not first.value.startswith("."):
            return first.value
    return None


def _is_main_guard(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.If)
        and isinstance(statement.test, ast.Compare)
        and isinstance(statement.test.left, ast.Name)
        and statement.test.left.id == "__name__"
    )
