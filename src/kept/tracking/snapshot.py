"""Code snapshots: the files of a project's folder as they were when a run began, committed or not."""

import base64
import os
import subprocess
from pathlib import Path, PurePosixPath

import msgspec

from kept.core.digests import canonical_json, digest_bytes, digest_file
from kept.core.errors import Invalid
from kept.store.blobs import Blobs

FORMAT = 1
_LARGEST_FILE = 1_000_000
_LARGEST_WHOLE = 10_000_000
_MOST_FILES = 5_000
_GIT_SECONDS = 20
# The same files as `_is_secret`, as git names them.
_OTHERS = (":(exclude,glob)**/kept.toml", ":(exclude,glob)**/.env*")
_NOT_CODE = {"__pycache__", "node_modules", "site-packages", "venv"}


class SnapshotFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file: its text, or its bytes in base64, or only its digest when it was too large to keep."""

    path: str
    size: int
    digest: str
    text: str | None = None
    base64: str | None = None


class CodeSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a folder, and where it stood in git."""

    format: int = FORMAT
    commit: str | None
    """None outside git, or before the first commit."""
    branch: str | None
    diff: str
    """What differs from the commit: of tracked files, as `git diff HEAD` writes it."""
    untracked: list[str]
    files: list[SnapshotFile]
    """Every file of the folder that git tracks or would track; without git every file that is not hidden.

    Never `kept.toml` and `.env`: they hold secrets."""
    complete: bool
    """False when files were too many or too large to keep all of them."""


def take_snapshot(folder: Path) -> CodeSnapshot:
    """The folder's files as they are now. Equal files and commits give equal snapshots."""
    if not folder.is_dir():
        raise Invalid("there is no such folder", where=str(folder), fix="Give the folder of the project")
    listed = _git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if listed is None:
        names, untracked = [name for name in _walk(folder) if not _is_secret(name)], []
        commit = branch = diff = None
    else:
        names = _code(folder, listed)
        untracked = _code(folder, _git(folder, "ls-files", "-z", "--others", "--exclude-standard") or "")
        commit = (_git(folder, "rev-parse", "--verify", "-q", "HEAD") or "").strip() or None
        branch = (_git(folder, "symbolic-ref", "--short", "-q", "HEAD") or "").strip() or None
        diff = _git(folder, "diff", "--no-ext-diff", "--no-color", "HEAD", "--", ".", *_OTHERS) if commit else None
    files, complete = _read(folder, names)
    diff = diff or ""
    return CodeSnapshot(
        commit=commit,
        branch=branch,
        diff=diff[:_LARGEST_FILE],
        untracked=untracked,
        files=files,
        complete=complete and len(diff) <= _LARGEST_FILE,
    )


def keep_snapshot(blobs: Blobs, folder: Path) -> str:
    """Stores a snapshot of the folder and gives its digest."""
    return blobs.put(canonical_json(take_snapshot(folder)))


def load_snapshot(blobs: Blobs, digest: str) -> CodeSnapshot:
    """The snapshot with this digest."""
    return msgspec.json.decode(blobs.get(digest), type=CodeSnapshot)


def restore_snapshot(snapshot: CodeSnapshot, folder: Path) -> None:
    """Writes the kept files into an empty folder."""
    for file in snapshot.files:
        target = folder / file.path
        if not target.resolve().is_relative_to(folder.resolve()):
            raise Invalid("it leads out of the folder", where=file.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.text is not None:
            target.write_bytes(file.text.encode())
        elif file.base64 is not None:
            target.write_bytes(base64.b64decode(file.base64))


def _read(folder: Path, names: list[str]) -> tuple[list[SnapshotFile], bool]:
    files, total, complete = [], 0, len(names) <= _MOST_FILES
    for name in names[:_MOST_FILES]:
        path = folder / name
        # A deleted file is still listed by git; a link could lead anywhere.
        if path.is_symlink() or not path.is_file():
            continue
        size = path.stat().st_size
        if size > _LARGEST_FILE or total + size > _LARGEST_WHOLE:
            files.append(SnapshotFile(path=name, size=size, digest=digest_file(path)))
            complete = False
            continue
        total += size
        files.append(_whole(name, path))
    return files, complete


def _whole(name: str, path: Path) -> SnapshotFile:
    data = path.read_bytes()
    digest = digest_bytes(data)
    try:
        return SnapshotFile(path=name, size=len(data), digest=digest, text=data.decode())
    except UnicodeDecodeError:
        return SnapshotFile(path=name, size=len(data), digest=digest, base64=base64.b64encode(data).decode())


def _walk(folder: Path) -> list[str]:
    names: list[str] = []
    for place, folders, files in os.walk(folder):
        inside = Path(place)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and name not in _NOT_CODE and not _foreign(inside / name)
        )
        names += [(inside / name).relative_to(folder).as_posix() for name in files if not name.startswith(".")]
        if len(names) > _MOST_FILES:
            break
    return sorted(names)


def _code(folder: Path, listed: str) -> list[str]:
    names = sorted({name for name in listed.split("\0") if name and not _is_secret(name)})
    parents = {parent for name in names for parent in PurePosixPath(name).parents}
    foreign = {parent for parent in parents if parent.name and _foreign(folder / parent)}
    return [name for name in names if foreign.isdisjoint(PurePosixPath(name).parents)]


def _is_secret(name: str) -> bool:
    """Whether a file is where people keep passwords and tokens: they are no code, and a blob is kept for ever."""
    return PurePosixPath(name).name == "kept.toml" or PurePosixPath(name).name.startswith(".env")


def _foreign(folder: Path) -> bool:
    """Whether a folder is an environment or a workspace: neither is the project's code."""
    return (folder / "pyvenv.cfg").exists() or (folder / "kept.db").exists()


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says, or None when there is no git, no repository, or nothing to say."""
    try:
        found = subprocess.run(
            ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments],  # noqa: S607 - git is where the user has it
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.decode(errors="replace") if found.returncode == 0 else None
