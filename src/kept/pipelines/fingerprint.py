"""Code fingerprints of steps: a digest of the step and of everything of the project that it names, transitively.

The code is read, not imported, so what is fingerprinted is what a fresh process will run. Of installed distributions
only name and version count. What no name in the text leads to (a module found through a computed name) is not seen:
that is what `Step.version` and `Step.uses` are for.
"""

import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from kept.core.digests import digest_file, digest_json
from kept.core.errors import Invalid, NotFound
from kept.pipelines.function_reference import Reference, is_installed, reference_of
from kept.pipelines.graph import Node
from kept.pipelines.source import Definition, Import, Source, file_digest, locate, read_source

FORMAT = 1


def cache_key(node: Node, outputs: Mapping[str, str], *, project: str, seed: int) -> str:
    """The digest of everything that a step's output may depend on.

    Args:
        node: the step in its place.
        outputs: parameter -> digest of the output it receives.
        project: counts for steps that take the context.
        seed: counts for steps that take the context.
    """
    step = node.step
    used = [reference_of(function, where=f"step {step.name!r}") for function in step.uses]
    return digest_json(
        {
            "format": FORMAT,
            "code": code_digest([node.reference, *used]),
            "version": step.version,
            "files": {str(file): _file(file, step.name) for file in step.files},
            "outputs": dict(outputs),
            "values": node.values,
            "context": {"project": project, "seed": seed} if node.takes_context else None,
        }
    )


def code_digest(references: Iterable[Reference]) -> str:
    """The digest of functions' code and of all that it names."""
    walk = _Walk()
    for reference in references:
        walk.add(reference)
    return digest_json({"python": list(sys.version_info[:2]), "code": walk.found})


class _Walk:
    """Follows names from module to module, and notes what each stands for."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self._folders: list[str] = []
        self._located: dict[str, Source | None] = {}

    def add(self, reference: Reference) -> None:
        if reference.folder not in self._folders:
            self._folders.append(reference.folder)
        path = Path(reference.file)
        if is_installed(reference.file):
            self._distribution(reference.module)
            self.found[f"{reference.module}:{reference.qualname}"] = True
            return
        if not path.is_file():
            raise NotFound("there is no such file any more", where=reference.file, fix="Restore it")
        source = read_source(reference.module, path)
        name = reference.qualname.partition(".")[0]
        if name not in source.definitions and name not in source.imports:
            where = f"{reference.file}:{reference.qualname}"
            raise NotFound("there is no such function any more", where=where, fix="Restore it, or run again")
        # It is noted under its own name too, so that two steps in one module differ.
        self.found[f"{reference.module}:{reference.qualname}"] = True
        self._name(source, name)

    def _name(self, source: Source, name: str, rest: tuple[str, ...] = ()) -> bool:
        """Follows a name of a module; whether it was found there."""
        known = False
        if definitions := source.definitions.get(name):
            known = True
            self._definitions(source, name, definitions)
        for found in source.imports.get(name, []):
            known = True
            self._import(found, rest)
        if not known:
            for module in source.stars:
                inner = self._source(module)
                if inner is None:
                    self._distribution(module)
                elif self._name(inner, name, rest):
                    return True
        return known

    def _definitions(self, source: Source, name: str, definitions: list[Definition]) -> None:
        entry = f"{source.name}.{name}"
        if entry in self.found:
            return
        self.found[entry] = [definition.content for definition in definitions]
        self._effects(source)
        for definition in definitions:
            self._follow(source, definition)

    def _effects(self, source: Source) -> None:
        entry = f"{source.name} on import"
        if entry in self.found:
            return
        self.found[entry] = [definition.content for definition in source.effects]
        for definition in source.effects:
            self._follow(source, definition)

    def _follow(self, source: Source, definition: Definition) -> None:
        for chain in sorted(definition.chains):
            if chain[0] in definition.imports:
                self._import(definition.imports[chain[0]], chain[1:])
            else:
                self._name(source, chain[0], chain[1:])

    def _import(self, found: Import, rest: tuple[str, ...]) -> None:
        path = rest if found.attribute is None else (found.attribute, *rest)
        module = found.module
        source = self._source(module)
        # `import a.b` then `a.b.f`: go down as long as the next part is a module and not a name of this one.
        while path and not (source is not None and (path[0] in source.definitions or path[0] in source.imports)):
            inner = self._source(f"{module}.{path[0]}")
            if inner is None:
                break
            module, source, path = f"{module}.{path[0]}", inner, path[1:]
        if source is None:
            self._distribution(module)
        elif not path or not self._name(source, path[0], path[1:]):
            self._whole(source)

    def _whole(self, source: Source) -> None:
        entry = f"{source.name} as a whole"
        if entry in self.found:
            return
        self.found[entry] = True
        self._effects(source)
        for name in sorted({*source.definitions, *source.imports}):
            self._name(source, name)

    def _source(self, module: str) -> Source | None:
        """The module, when it is of the project: anything that is neither installed nor of the interpreter."""
        if module not in self._located:
            self._located[module] = self._locate(module)
        return self._located[module]

    def _locate(self, module: str) -> Source | None:
        if not module or (module.partition(".")[0] in sys.stdlib_module_names and not self._shadowed(module)):
            return None
        if _is_known_installed(module.partition(".")[0]) and not self._shadowed(module):
            return None
        path = locate(module, self._folders)
        if path is None or is_installed(str(path)):
            return None
        if path.suffix != ".py":
            self.found[f"file {module}"] = file_digest(path)
            return None
        return read_source(module, path)

    def _shadowed(self, module: str) -> bool:
        """Whether a project's own folder holds a module of this name: it is found first."""
        top = module.partition(".")[0]
        return any(
            (Path(folder) / f"{top}.py").exists() or (Path(folder) / top).is_dir()
            for folder in self._folders
            if not is_installed(folder + "/x")
        )

    def _distribution(self, module: str) -> None:
        top = module.partition(".")[0]
        if top not in sys.stdlib_module_names:
            self.found[f"distribution {top}"] = _versions(top)


@cache
def _is_known_installed(top: str) -> bool:
    path = locate(top, [])
    return path is not None and is_installed(str(path))


@cache
def _versions(top: str) -> list[str]:
    names = _distributions().get(top, [top])
    return sorted({f"{name} {_version(name)}" for name in names})


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _file(path: Path, step: str) -> str:
    if not path.is_file():
        raise Invalid(f"there is no file {path}", where=f"step {step!r}", fix="Write the path of a file it reads")
    return digest_file(path)
