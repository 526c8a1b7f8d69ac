"""Encoding step outputs as blobs: typed by kind, without pickle.

An output's digest names a small JSON blob that says of what kind it is and holds plain values itself; frames, arrays,
bytes and files are blobs of their own that it names. Format 1.
"""

import dataclasses
import io
import json
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from kept.core.errors import Damaged, Invalid, NotFound
from kept.store.blobs import Blobs

FORMAT = 1
_RETURN = (
    "Return a polars frame, a numpy array, bytes, a path, a msgspec Struct or dataclass, plain values, or a list, tuple or "
    "dict of these; an estimator as bytes of skops.io.dumps(...)"
)
_FREE = {Any, object, None}


class _NotPlain(Exception):
    """A value inside a struct needs a blob of its own."""


class Codec:
    """Keeps outputs in blobs, and reads them for the parameters that receive them.

    Args:
        blobs: where they are kept.
        scratch: folder for files that a parameter of type `Path` receives.
    """

    def __init__(self, blobs: Blobs, scratch: Path) -> None:
        self._blobs = blobs
        self._scratch = scratch
        self._files = 0

    def store(self, value: Any, *, where: str) -> str:
        """Keeps a value and gives its digest. `Invalid` says what to return instead of what can not be kept."""
        node = self._node(value, where)
        return self._blobs.put(json.dumps({"format": FORMAT, **node}, separators=(",", ":")).encode())

    def load(self, digest: str, kind: Any, *, where: str) -> Any:
        """The value, as the type that the parameter is annotated with."""
        node = json.loads(self._blobs.get(digest))
        if node.get("format") != FORMAT:
            raise Damaged(f"its format is {node.get('format')!r}, not {FORMAT}", where=where, fix="Run the step again")
        return self._value(node, None if kind in _FREE else kind, where)

    def _node(self, value: Any, where: str) -> dict[str, Any]:
        node = self._blob(value, where)
        if node is not None:
            return node
        if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
            return self._several(value, where)
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            nodes = {str(key): self._node(item, where) for key, item in value.items()}
            if all(_is_plain(node) for node in nodes.values()):
                return {"kind": "plain", "value": {key: node["value"] for key, node in nodes.items()}}
            return {"kind": "dict", "items": nodes}
        return self._typed(value, where)

    def _blob(self, value: Any, where: str) -> dict[str, Any] | None:
        """The node of a value that needs a blob of its own, or None."""
        polars, numpy = sys.modules.get("polars"), sys.modules.get("numpy")
        # A value of a library's type exists only where the library is loaded.
        if polars is not None and isinstance(value, polars.DataFrame | polars.LazyFrame):
            return {"kind": "frame", "content": self._frame(value.lazy().collect(), where)}
        if numpy is not None and isinstance(value, numpy.ndarray):
            return {"kind": "array", "content": self._array(value, where)}
        if isinstance(value, bytes | bytearray | memoryview):
            return {"kind": "bytes", "content": self._blobs.put(bytes(value))}
        return self._path(value, where) if isinstance(value, Path) else None

    def _several(self, value: list[Any] | tuple[Any, ...], where: str) -> dict[str, Any]:
        nodes = [self._node(item, where) for item in value]
        if isinstance(value, list) and all(map(_is_plain, nodes)):
            return {"kind": "plain", "value": [node["value"] for node in nodes]}
        return {"kind": "list" if isinstance(value, list) else "tuple", "items": nodes}

    def _typed(self, value: Any, where: str) -> dict[str, Any]:
        if value is None or type(value) in {bool, int, float, str}:
            return {"kind": "plain", "value": value}
        if (numpy := sys.modules.get("numpy")) is not None and isinstance(value, numpy.generic):
            return self._typed(value.item(), where)
        name = f"{type(value).__module__}:{type(value).__qualname__}"
        try:
            return {"kind": "plain", "type": name, "value": msgspec.to_builtins(value, str_keys=True, enc_hook=_scalar)}
        except (_NotPlain, TypeError, NotImplementedError) as error:
            fields = _fields(value)
            if fields is None:
                what = f"a value of type {type(value).__qualname__} can not be kept"
                raise Invalid(what, where=where, fix=_RETURN) from error
            inner = {field: self._node(item, f"{where}.{field}") for field, item in fields.items()}
            return {"kind": "record", "type": name, "items": inner}

    def _frame(self, frame: Any, where: str) -> str:
        stream = io.BytesIO()
        try:
            frame.write_parquet(stream)
        except Exception as error:
            fix = "Give every column a type of polars that Parquet knows"
            raise Invalid(f"the frame can not be kept ({error})", where=where, fix=fix) from error
        return self._blobs.put(stream.getvalue())

    def _array(self, array: Any, where: str) -> str:
        import numpy as np  # noqa: PLC0415 - loaded already, or there would be no array

        stream = io.BytesIO()
        try:
            np.save(stream, array, allow_pickle=False)
        except ValueError as error:
            fix = "Give it a type of numbers, texts or times"
            raise Invalid("an array of Python objects can not be kept", where=where, fix=fix) from error
        return self._blobs.put(stream.getvalue())

    def _path(self, path: Path, where: str) -> dict[str, Any]:
        if path.is_file():
            return {"kind": "file", "name": path.name, "content": self._blobs.put_file(path)}
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.is_file())
            items = {file.relative_to(path).as_posix(): self._blobs.put_file(file) for file in inside}
            return {"kind": "folder", "name": path.name, "files": items}
        raise Invalid(f"there is nothing at {path}", where=where, fix="Write the file, then return its path")

    def _value(self, node: dict[str, Any], kind: Any, where: str) -> Any:
        readers: dict[str, Callable[[dict[str, Any], Any, str], Any]] = {
            "plain": _plain,
            "frame": self._load_frame,
            "array": self._load_array,
            "bytes": lambda node, *_: self._blobs.get(node["content"]),
            "file": self._fetch,
            "folder": self._fetch,
            "dict": self._load_dict,
            "list": self._load_several,
            "tuple": self._load_several,
            "record": self._load_record,
        }
        if node["kind"] not in readers:
            raise Damaged(f"its kind is {node['kind']!r}", where=where, fix="Run the step again")
        return readers[node["kind"]](node, kind, where)

    def _load_frame(self, node: dict[str, Any], kind: Any, _: str) -> Any:
        import polars as pl  # noqa: PLC0415 - only where frames are

        frame = pl.read_parquet(io.BytesIO(self._blobs.get(node["content"])))
        return frame.lazy() if pl.LazyFrame in _arms(kind) and pl.DataFrame not in _arms(kind) else frame

    def _load_array(self, node: dict[str, Any], *_: Any) -> Any:
        import numpy as np  # noqa: PLC0415 - only where arrays are

        return np.load(io.BytesIO(self._blobs.get(node["content"])), allow_pickle=False)

    def _load_dict(self, node: dict[str, Any], kind: Any, where: str) -> dict[str, Any]:
        inner = _arguments(kind, dict)
        of = inner[1] if len(inner) == 2 else None
        return {key: self._value(item, of, f"{where}[{key!r}]") for key, item in node["items"].items()}

    def _load_several(self, node: dict[str, Any], kind: Any, where: str) -> Any:
        items = node["items"]
        of = _arguments(kind, list) or _arguments(kind, tuple)
        kinds = list(of) if len(of) == len(items) and Ellipsis not in of else [of[0] if of else None] * len(items)
        values = [
            self._value(item, one, f"{where}[{number}]")
            for number, (item, one) in enumerate(zip(items, kinds, strict=True))
        ]
        wants_list = any(get_origin(arm) is list or arm is list for arm in _arms(kind))
        return values if node["kind"] == "list" or wants_list else tuple(values)

    def _load_record(self, node: dict[str, Any], kind: Any, where: str) -> Any:
        for arm in _arms(kind):
            if isinstance(arm, type) and (issubclass(arm, msgspec.Struct) or dataclasses.is_dataclass(arm)):
                hints = get_type_hints(arm)
                items = {
                    name: self._value(item, hints.get(name), f"{where}.{name}") for name, item in node["items"].items()
                }
                return arm(**items)
        raise _unannotated(node["type"], where)

    def _fetch(self, node: dict[str, Any], *_: Any) -> Path:
        self._files += 1
        place = self._scratch / f"input-{self._files}"
        place.mkdir(parents=True)
        target: Path = place / node["name"]
        if node["kind"] == "file":
            self._blobs.fetch(node["content"], target)
            return target
        target.mkdir()
        for name, digest in node["files"].items():
            file = target / name
            file.parent.mkdir(parents=True, exist_ok=True)
            self._blobs.fetch(digest, file)
        return target


def is_whole(blobs: Blobs, digest: str) -> bool:
    """Whether an output can be read and every blob that it names is there."""
    try:
        return all(map(blobs.has, _named(json.loads(blobs.get(digest)))))
    except (NotFound, Damaged):
        return False


def _named(node: dict[str, Any]) -> Iterator[str]:
    """Digests of the blobs that a node names, at any depth."""
    if "content" in node:
        yield node["content"]
    yield from node.get("files", {}).values()
    items = node.get("items", [])
    for inner in items.values() if isinstance(items, dict) else items:
        yield from _named(inner)


def _plain(node: dict[str, Any], kind: Any, where: str) -> Any:
    if kind is None or kind in _FREE:
        if "type" in node:
            raise _unannotated(node["type"], where)
        return node["value"]
    try:
        return msgspec.convert(node["value"], kind, str_keys=True)
    except (msgspec.ValidationError, TypeError) as error:
        fix = "Make the annotation say what the step returns"
        raise Invalid(f"it is not of type {_name(kind)} ({error})", where=where, fix=fix) from error


def _is_plain(node: dict[str, Any]) -> bool:
    return node["kind"] == "plain" and "type" not in node


def _scalar(value: Any) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return value.item()
    raise _NotPlain


def _fields(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return None


def _arms(kind: Any) -> tuple[Any, ...]:
    """The alternatives of a union, or the one kind."""
    if get_origin(kind) in {typing.Union, types.UnionType}:
        return get_args(kind)
    return (kind,)


def _arguments(kind: Any, of: type) -> tuple[Any, ...]:
    for arm in _arms(kind):
        origin = get_origin(arm)
        if isinstance(origin, type) and issubclass(of, origin):
            return get_args(arm)
    return ()


def _unannotated(name: str, where: str) -> Invalid:
    short = name.partition(":")[2]
    return Invalid(f"it receives a value of type {short}", where=where, fix=f"Annotate the parameter with {short}")


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", None) or str(kind)
