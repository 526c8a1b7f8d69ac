"""The seam to blobs: bytes kept under the digest of their content, and their keeper in a folder."""

import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

from kept.core.digests import digest_bytes, digest_file, verify
from kept.core.errors import Damaged, Invalid, NotFound, Unavailable
from kept.core.flushing import flush

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PIECE = 1 << 20
# A writer that is alive changes its file all the time.
_ABANDONED_SECONDS = 86_400
_File = IO[bytes]


class Blobs(Protocol):
    """Bytes by digest. A digest that was given back is durable; the same bytes are kept once, and mended when kept again."""

    def put(self, data: bytes) -> str:
        """Keeps the bytes and gives their digest."""
        ...

    def put_file(self, path: Path) -> str:
        """Keeps a file's bytes, never whole in memory, and gives their digest."""
        ...

    def get(self, digest: str) -> bytes:
        """The bytes, verified. `NotFound` or `Damaged` otherwise."""
        ...

    def fetch(self, digest: str, to: Path) -> None:
        """Writes the bytes to a file, verified, never whole in memory."""
        ...

    def has(self, digest: str) -> bool:
        """Whether the bytes are kept here."""
        ...


class FolderBlobs:
    """Blobs as files: `sha256/ab/cdef...`, written in the folder `new`, flushed, renamed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._kept = root / "sha256"
        self._new = root / "new"
        for folder in (self._kept, self._new):
            folder.mkdir(parents=True, exist_ok=True)
        self._clear_abandoned()

    def put(self, data: bytes) -> str:
        """Keeps the bytes and gives their digest."""
        digest = digest_bytes(data)
        if not self._is_sound(digest):
            with self._written() as stream:
                stream.write(data)
                self._settle(stream, digest)
        return digest

    def put_file(self, path: Path) -> str:
        """Keeps a file's bytes and gives their digest."""
        if not path.is_file():
            raise NotFound("there is no such file to keep", where=str(path))
        with path.open("rb") as source, self._written() as stream:
            while piece := source.read(_PIECE):
                stream.write(piece)
            stream.flush()
            # The digest is of the copy, so a source that changes meanwhile cannot be kept under a wrong name.
            digest = digest_file(Path(stream.name))
            self._settle(stream, digest)
        return digest

    def get(self, digest: str) -> bytes:
        """The bytes, verified."""
        try:
            return verify(self._path(digest).read_bytes(), digest, where=f"blob {digest}")
        except FileNotFoundError as error:
            raise NotFound(f"there is no blob {digest}", where=str(self._root)) from error

    def fetch(self, digest: str, to: Path) -> None:
        """Writes the bytes to a file, verified."""
        try:
            source = self._path(digest).open("rb")
        except FileNotFoundError as error:
            raise NotFound(f"there is no blob {digest}", where=str(self._root)) from error
        with source, to.open("wb") as target:
            while piece := source.read(_PIECE):
                target.write(piece)
        if (found := digest_file(to)) != digest:
            to.unlink()
            raise Damaged(f"expected {digest}, found {found}", where="blob", fix="Restore it from a backup")

    def has(self, digest: str) -> bool:
        """Whether the bytes are kept here."""
        return self._path(digest).exists()

    def _is_sound(self, digest: str) -> bool:
        try:
            return digest_file(self._path(digest)) == digest
        except OSError:
            return False

    @contextmanager
    def _written(self) -> Iterator[_File]:
        """A new file, which is gone at the end unless it was settled."""
        try:
            with tempfile.NamedTemporaryFile(dir=self._new, delete=False) as stream:
                try:
                    yield stream
                finally:
                    Path(stream.name).unlink(missing_ok=True)
        except OSError as error:
            what = f"could not be written ({error.strerror})"
            raise Unavailable(what, where=str(self._root), fix="Free space, then try again") from error

    def _settle(self, stream: _File, digest: str) -> None:
        """Makes a written file the blob of this digest; it is on the disk when this ends."""
        stream.flush()
        os.fsync(stream.fileno())
        target = self._path(digest)
        if not target.parent.exists():
            target.parent.mkdir(exist_ok=True)
            flush(self._kept)
        Path(stream.name).replace(target)
        flush(target.parent)

    def _clear_abandoned(self) -> None:
        """Removes what processes that were killed had begun to write."""
        oldest = time.time() - _ABANDONED_SECONDS
        for path in self._new.iterdir():
            with suppress(OSError):  # another process does the same
                if path.stat().st_mtime < oldest:
                    path.unlink()

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise Invalid(f"{digest!r} is not a digest", where="blobs", fix="Write sha256: and 64 hexadecimal digits")
        return self._kept / digest[7:9] / digest[9:]


def _fits(blobs: FolderBlobs) -> Blobs:
    return blobs
