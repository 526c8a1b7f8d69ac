"""Artifact files below one folder, named by clients: no name leads out of it, and none is visible before it is whole."""

import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

import msgspec

from kept.core.errors import Conflict, Invalid, NotFound, Unavailable
from kept.core.flushing import flush
from kept.core.ids import new_id

_ABANDONED_SECONDS = 7 * 24 * 3600
_LONGEST = 4_096
_LEAST_COUNTED = 1 << 20
_PIECE = 1 << 20
_KEY = re.compile(r"[0-9a-f-]{36}")
_LONGEST_PART = 255
_BESIDE = ThreadPoolExecutor(max_workers=8, thread_name_prefix="upload")
_WORTH_A_THREAD = 1 << 17
_WORTH_A_FLUSH = 64 << 20
_WORTH_A_LOOK = 8 << 20
_DONE: Future[None] = Future()
_DONE.set_result(None)


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A file or a folder of files."""

    path: str
    """Below the artifacts of the workspace, with `/`."""
    folder: bool
    size: int | None
    """Bytes; None of a folder."""


class ArtifactFiles:
    """The files of runs and logged models of one workspace, below `root`.

    Args:
        root: the folder.
        most_waiting: how many bytes of parts may wait to be joined; None for any number.
    """

    def __init__(self, root: Path, *, most_waiting: int | None = None) -> None:
        self._most_waiting = most_waiting
        self._files = root / "files"
        self._new = root / "new"

    def begin(self, path: str) -> "Upload":
        """A file that is about to be written. Use it in a `with` block: what is not kept is gone at its end."""
        target = self._place(path)
        if target.is_dir():
            raise Conflict("it is a folder", where=path, fix="Choose another name for the file")
        with _told(path):
            if not self._new.exists():
                self._new.mkdir(parents=True, exist_ok=True)
                self._files.mkdir(exist_ok=True)
        return Upload(self._files, target, self._new / new_id())

    def begin_parts(self, path: str) -> str:
        """Opens an upload in parts of a file; the key under which its parts are kept until they are joined."""
        self._check_room()
        self.begin(path).abandon()
        key = new_id()
        with _told(path):
            (self._new / key).mkdir()
        return key

    def begin_part(self, key: str, number: int) -> "Upload":
        """A part that is about to be written; in the place of an earlier one of the same number."""
        folder = self._parts(key)
        self._check_room()
        return Upload(folder, folder / str(number), self._new / new_id(), self._check_room)

    def tag_of_part(self, key: str, number: int) -> str:
        """What tells a part from one that took its place."""
        try:
            known = (self._parts(key) / str(number)).stat()
        except FileNotFoundError as error:
            raise Invalid(f"part {number} was not sent", where=key, fix="Send it, then complete the upload") from error
        return f"{known.st_mtime_ns:x}-{known.st_size:x}"

    def join_parts(self, path: str, key: str, numbers: Sequence[int]) -> "Upload":
        """The file of these parts in their order, written but not kept yet; then `drop_parts`."""
        folder = self._parts(key)
        upload = self.begin(path)
        try:
            with _told(path):
                for number in numbers:
                    with (folder / str(number)).open("rb") as part:
                        while piece := part.read(_PIECE):
                            upload.write(piece)
        except BaseException:
            upload.abandon()
            raise
        return upload

    def drop_parts(self, key: str) -> None:
        """Ends an upload in parts and removes what was written of it."""
        shutil.rmtree(self._parts(key))

    def locate(self, path: str) -> Path:
        """Where a file is; `NotFound` when there is none."""
        target = self._place(path)
        if not target.is_file():
            raise NotFound(f"No such artifact: '{path}'")
        return target

    def list(self, path: str) -> list[FileEntry]:
        """What is directly in a folder, by name; nothing when there is no such folder."""
        folder = self._place(path) if path else self._files
        if not folder.is_dir():
            return []
        with _told(path), os.scandir(folder) as found:
            entries = [
                FileEntry(
                    path=f"{path}/{entry.name}" if path else entry.name,
                    folder=entry.is_dir(follow_symlinks=False),
                    size=entry.stat(follow_symlinks=False).st_size if entry.is_file(follow_symlinks=False) else None,
                )
                for entry in found
                if not entry.is_symlink()
            ]
        return sorted(entries, key=lambda entry: entry.path)

    def delete(self, path: str) -> None:
        """Removes a file, or a folder with all that is in it; `NotFound` when there is neither."""
        target = self._place(path)
        with _told(path):
            if target.is_dir():
                shutil.rmtree(target)
            elif target.exists():
                target.unlink()
            else:
                raise NotFound(f"No such artifact: '{path}'")

    def _check_room(self) -> None:
        """Refuses more parts where as much waits as may: clients that never complete what they begin must not fill the disk."""
        if self._most_waiting is None or self._waiting() < self._most_waiting:
            return
        what = f"{self._most_waiting >> 20:,} MB of uploads in parts wait to be completed already"
        fix = "Complete or abort them, or raise upload_megabytes; those that nobody touches are removed after 7 days"
        raise Unavailable(what, where="uploads", fix=fix)

    def _waiting(self) -> int:
        """Bytes of all that was begun; each part and upload counts as a megabyte at least, so that there are not too many to look through."""
        total = 0
        folders = [self._new] if self._new.exists() else []
        while folders:
            with suppress(FileNotFoundError), os.scandir(folders.pop()) as found:  # others come to their end meanwhile
                for entry in found:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
                    total += max(entry.stat(follow_symlinks=False).st_size, _LEAST_COUNTED)
        return total

    def clear_abandoned(self) -> None:
        """Removes what clients that went away had begun to write."""
        oldest = time.time() - _ABANDONED_SECONDS
        for path in self._new.iterdir() if self._new.exists() else ():
            with suppress(OSError):  # another process does the same
                if path.stat().st_mtime < oldest:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _parts(self, key: str) -> Path:
        folder = self._new / key
        if not _KEY.fullmatch(key) or not folder.is_dir():
            raise NotFound(f"there is no upload {key[:_LONGEST_PART]!r}", fix="Begin it, or begin it anew")
        return folder

    def _place(self, path: str) -> Path:
        target = self._files.joinpath(*checked(path).parts)
        # A link on the way could lead anywhere: none is followed, whoever made it.
        for step in (target, *target.parents):
            if step == self._files:
                break
            if step.is_symlink():
                raise Invalid("it leads through a link", where=path, fix="Give the path of the file itself")
        return target


class Upload:
    """A file that is being written, in pieces; nobody sees it before `keep`.

    Threads beside take its digest and begin to flush it while more of it comes: alone each would take as long as all
    else. `check` is called now and then as it grows, and raises when there is no room for more.
    """

    def __init__(self, root: Path, target: Path, temporary: Path, check: Callable[[], None] | None = None) -> None:
        self._check = check
        self._checked = 0
        self._root = root
        self._target = target
        self._temporary = temporary
        self._hash = hashlib.sha256()
        self._hashing: Future[None] = _DONE
        self._flushing: Future[None] = _DONE
        self._flushed = 0
        self.size = 0
        self._stream = temporary.open("wb", buffering=0)

    def write(self, piece: bytes) -> None:
        """Adds bytes at the end."""
        if self._check is not None and self.size - self._checked >= _WORTH_A_LOOK:
            self._check()
            self._checked = self.size
        with _told(self._target.name):
            rest = memoryview(piece)
            self._hashing.result()
            if len(rest) < _WORTH_A_THREAD:
                self._hash.update(rest)
            else:
                self._hashing = _BESIDE.submit(self._hash.update, rest)
            self.size += len(rest)
            while rest:
                rest = rest[self._stream.write(rest) or 0 :]
            if self.size - self._flushed >= _WORTH_A_FLUSH and self._flushing.done():
                self._flushing.result()
                self._flushed = self.size
                self._flushing = _BESIDE.submit(os.fsync, self._stream.fileno())

    def keep(self) -> str:
        """Puts the file in its place, in the place of what was there, on the disk; gives its digest."""
        with _told(self._target.name):
            self._hashing.result()
            self._flushing.result()
            os.fsync(self._stream.fileno())
            self._stream.close()
            try:
                made = [folder for folder in self._target.parents if folder != self._root and not folder.exists()]
                self._target.parent.mkdir(parents=True, exist_ok=True)
                self._temporary.replace(self._target)
            except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
                fix = "Choose another name for the file"
                raise Conflict("a file stands where a folder is wanted, or a folder", where="path", fix=fix) from error
            for folder in {self._target.parent, *(folder.parent for folder in made)}:
                if folder.is_relative_to(self._root):
                    flush(folder)
        return f"sha256:{self._hash.hexdigest()}"

    def abandon(self) -> None:
        """Removes what was written, unless it was kept."""
        # Neither thread may come too late: the number of a closed file is soon another's.
        wait([self._hashing, self._flushing])
        self._stream.close()
        self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()


def checked(path: str) -> PurePosixPath:
    """The path, when it names something below a folder; `Invalid` when it is empty, absolute or climbs."""
    parts = path.split("/")
    wrong = "\0" in path or any(part in {"", ".", ".."} for part in parts)
    if wrong or len(path) > _LONGEST or any(_bytes(part) > _LONGEST_PART for part in parts):
        fix = "Write names joined by single slashes, without `.` and `..`, of at most 255 bytes each"
        raise Invalid(f"Invalid path: {path[:_LONGEST]!r}", fix=fix)
    return PurePosixPath(*parts)


def _bytes(part: str) -> int:
    try:
        return len(part.encode())
    except UnicodeEncodeError:
        return _LONGEST_PART + 1


@contextmanager
def _told(where: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"No such artifact: '{where}'") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise Invalid(f"Invalid path: {where!r}", fix="Choose a shorter name") from error
        what = f"could not be read or written ({error.strerror})"
        raise Unavailable(
            what, where=where, fix="Free space or check who may use the folder, then try again"
        ) from error
