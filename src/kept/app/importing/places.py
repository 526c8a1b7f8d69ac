"""Where runs' files are on this machine. Only folders that a person named are read, and no link is followed."""

import os
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kept.app.importing.report import Findings
from kept.app.importing.source import FoundFile, Holder
from kept.core.errors import Invalid, NotFound, Unavailable
from kept.tracking.artifact_files import checked

_PIECE = 1 << 20
_DEEPEST = 64
_LOCAL, _PROXIED = {"", "file"}, "mlflow-artifacts"


class Places:
    """Finds, lists and reads files below folders.

    Args:
        roots: folders in which addresses of this machine are read.
        proxied: folders in which a server kept what its clients sent through it.
    """

    def __init__(self, roots: Sequence[Path], proxied: Sequence[Path], findings: Findings) -> None:
        self._roots = [root.resolve() for root in roots if root.is_dir()]
        self._proxied = [root.resolve() for root in proxied if root.is_dir()]
        self._findings = findings

    def folder(self, holder: Holder) -> Path | None:
        """The folder of the files of a run or logged model; None when it has none; `NotFound` when it can not be read."""
        parts = urlsplit(holder.location)
        path = unquote(parts.path)
        if "\0" in path:
            raise NotFound("the address of the files is no address")
        if parts.scheme == _PROXIED:
            return self._of_server(path)
        if parts.scheme not in _LOCAL or (parts.netloc and parts.netloc != "localhost"):
            raise NotFound(f"files in {parts.scheme or parts.netloc}: are not read; they stay where they are")
        if not holder.location:
            raise NotFound("the source does not say where the files are")
        return self._of_machine(Path(path), holder)

    def files(self, holder: Holder) -> Iterator[FoundFile]:
        """All files of a run or logged model, by name. What is no plain file is noted and left out."""
        folder = self.folder(holder)
        if folder is not None:
            yield from self._walk(folder, "", holder, 0)

    def pieces(self, holder: Holder, file: FoundFile) -> Iterator[bytes]:
        """The bytes of a file."""
        folder = self.folder(holder)
        if folder is None:
            raise NotFound("the folder is gone", where=file.path)
        path = folder.joinpath(*checked(file.path).parts)
        try:
            # Should a link have taken its place since, it is not followed.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
                if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                    raise Invalid("it is no plain file")
                while piece := stream.read(_PIECE):
                    yield piece
        except OSError as error:
            raise Unavailable(f"it cannot be read ({error.strerror})", where=file.path) from error

    def _of_server(self, path: str) -> Path | None:
        if not self._proxied:
            raise NotFound("files that a server keeps are not beside the database; name their folder with --artifacts")
        inner = path.strip("/")
        for root in self._proxied:
            found = root / inner
            if not _within(found, root):
                raise NotFound("the address of the files leads out of their folder")
            if found.is_dir():
                return found
        return None

    def _of_machine(self, path: Path, holder: Holder) -> Path | None:
        resolved = path.resolve()
        if any(resolved.is_relative_to(root) for root in self._roots):
            return resolved if resolved.is_dir() else None
        # The folder may have been moved since: below the experiment the names are always the same.
        middle = [holder.id] if holder.kind == "run" else ["models", holder.id]
        tail = [*middle, "artifacts"]
        if list(path.parts[-len(tail) :]) == tail:
            for root in self._roots:
                for below in (path.parts[-len(tail) - 1], holder.experiment, f".trash/{holder.experiment}"):
                    found = root.joinpath(below, *tail)
                    if found.is_dir() and _within(found, root):
                        return found
        fix = "outside of the folders that are read; allow their folder with --artifacts"
        raise NotFound(f"files {fix}" if path.is_absolute() else f"files at an address of another folder, {fix}")

    def _walk(self, folder: Path, below: str, holder: Holder, depth: int) -> Iterator[FoundFile]:
        if depth > _DEEPEST:
            self._findings.leave_out("files", "in folders that are nested too deep", f"{holder.id}: {below}")
            return
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            why = f"in a folder that cannot be read ({error.strerror})"
            self._findings.leave_out("files", why, f"{holder.id}: {below}")
            return
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            if entry.is_symlink():
                self._findings.leave_out("files", "a link, which is not followed", f"{holder.id}: {path}")
            elif entry.is_dir(follow_symlinks=False):
                yield from self._walk(Path(entry.path), path, holder, depth + 1)
            elif not entry.is_file(follow_symlinks=False):
                self._findings.leave_out("files", "no plain file", f"{holder.id}: {path}")
            elif _is_name(path):
                known = entry.stat(follow_symlinks=False)
                modified = datetime.fromtimestamp(known.st_mtime, UTC)
                yield FoundFile(path=path, size=known.st_size, modified=modified)
            else:
                self._findings.leave_out("files", "a name that can not be kept", f"{holder.id}: {path!r}")


def _within(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root)


def _is_name(path: str) -> bool:
    try:
        checked(path)
        path.encode()
    except (Invalid, UnicodeEncodeError):
        return False
    return "\\" not in path
