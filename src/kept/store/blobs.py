"""The seam to blobs: bytes kept under the digest of their content, and their keeper in a folder."""

import os
import tempfile
from pathlib import Path
from typing import Protocol

from kept.core.digests import digest_bytes, digest_file, verify
from kept.core.errors import Damaged, Invalid, NotFound, Unavailable

_DIGEST_LENGTH = len("sha256:") + 64


class Blobs(Protocol):
    """Bytes by digest. A digest that was given back is durable; the same bytes are kept once."""

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
    """Blobs as files: `sha256/ab/cdef...`, written to a temporary name, flushed, renamed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        (root / "sha256").mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes) -> str:
        """Keeps the bytes and gives their digest."""
        digest = digest_bytes(data)
        target = self._path(digest)
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=".new-")
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(data)
                    _flush(stream.fileno())
                _settle(Path(name), target)
            except OSError as error:
                Path(name).unlink(missing_ok=True)
                raise _refused(error, target) from error
        return digest

    def put_file(self, path: Path) -> str:
        """Keeps a file's bytes and gives their digest."""
        handle, name = tempfile.mkstemp(dir=self._root / "sha256", prefix=".new-")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream, path.open("rb") as source:
                while piece := source.read(1 << 20):
                    stream.write(piece)
                _flush(stream.fileno())
            # The digest is of the copy, so a source that changes meanwhile cannot be kept under a wrong name.
            digest = digest_file(temporary)
            target = self._path(digest)
            target.parent.mkdir(exist_ok=True)
            _settle(temporary, target)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise _refused(error, path) from error
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
            while piece := source.read(1 << 20):
                target.write(piece)
        if (found := digest_file(to)) != digest:
            to.unlink()
            raise Damaged(f"expected {digest}, found {found}", where="blob", fix="Restore it from a backup")

    def has(self, digest: str) -> bool:
        """Whether the bytes are kept here."""
        return self._path(digest).exists()

    def _path(self, digest: str) -> Path:
        if len(digest) != _DIGEST_LENGTH or not digest.startswith("sha256:") or not digest[7:].isalnum():
            raise Invalid(f"{digest!r} is not a digest", where="blobs", fix="Write sha256: and 64 hexadecimal digits")
        return self._root / "sha256" / digest[7:9] / digest[9:]


def _flush(descriptor: int) -> None:
    os.fsync(descriptor)


def _settle(temporary: Path, target: Path) -> None:
    temporary.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _refused(error: OSError, path: Path) -> Unavailable:
    return Unavailable(f"could not be written ({error.strerror})", where=str(path), fix="Free space, then try again")


def _fits(blobs: FolderBlobs) -> Blobs:
    return blobs
