"""Reading a folder that somebody else wrote: no link is followed, nothing is read that is larger than it may be."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec

from kept.core.errors import Invalid, NotFound
from kept.core.plain_yaml import read_yaml

_LARGEST = 32 << 20
_DEEPEST = 64
_MOST_VALUES = 100_000
_Value = str | int | float | bool | None
_Part = _Value | list[_Value] | dict[str, _Value]
_Meta = dict[str, _Value | list[_Part] | dict[str, _Part]]
META = "meta.yaml"


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A plain file; `NotFound` when there is none, `Invalid` when it is something else."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise NotFound("there is no such file", where=str(path)) from error
    except OSError as error:
        raise Invalid(f"it cannot be read ({error.strerror})", where=str(path)) from error
    with os.fdopen(number, "rb") as stream:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise Invalid("it is no plain file", where=str(path))
        yield stream


def read_text(path: Path) -> str:
    """The text of a small file."""
    with opened(path) as stream:
        read = stream.read(_LARGEST + 1)
    if len(read) > _LARGEST:
        raise Invalid("it is larger than such a file can be", where=str(path))
    try:
        return read.decode()
    except UnicodeDecodeError as error:
        raise Invalid("it is no text in UTF-8", where=str(path)) from error


def read_meta(folder: Path) -> dict[str, Any]:
    """The names and values of a folder's `meta.yaml`."""
    path = folder / META
    return read_flat(read_text(path), where=str(path))


def read_flat(text: str, *, where: str) -> dict[str, Any]:
    """The names of a text of YAML, with values, lists of such, and names with such; `Invalid` for anything else."""
    found = read_yaml(text, where=where, fix="Leave it out of what is imported", most=_MOST_VALUES)
    try:
        return msgspec.convert(found, _Meta)
    except msgspec.ValidationError as error:
        raise Invalid(f"it holds what such a file never does ({error})", where=where) from error


def folders(path: Path) -> list[Path]:
    """The folders that are directly in a folder, by name; none when it is not there. Links are no folders."""
    try:
        with os.scandir(path) as found:
            return sorted(Path(entry.path) for entry in found if entry.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise Invalid(f"it cannot be read ({error.strerror})", where=str(path)) from error


def named_files(path: Path, below: str = "", depth: int = 0) -> Iterator[tuple[str, Path]]:
    """The plain files below a folder with their names, `/` between the parts; none when it is not there."""
    try:
        with os.scandir(path) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise Invalid(f"it cannot be read ({error.strerror})", where=str(path)) from error
    for entry in entries:
        name = f"{below}/{entry.name}" if below else entry.name
        if entry.is_dir(follow_symlinks=False) and depth < _DEEPEST:
            yield from named_files(Path(entry.path), name, depth + 1)
        elif entry.is_file(follow_symlinks=False):
            yield name, Path(entry.path)
