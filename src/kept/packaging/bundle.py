"""Bundles as folders: read with every byte checked, kept as blobs, brought back."""

import os
import shutil
import tempfile
from pathlib import Path

import msgspec

from kept.core.digests import verify
from kept.core.errors import Conflict, Damaged, Invalid, KeptError, NotFound
from kept.core.flushing import flush
from kept.packaging.manifest import LARGEST_MANIFEST, MANIFEST, BundleFile, Manifest, bundle_digest, decode_manifest
from kept.store.blobs import Blobs


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that was read and found whole: these bytes are what the digests say."""

    digest: str
    manifest: Manifest
    contents: dict[str, bytes]


def read_bundle(folder: Path, *, digest: str | None = None) -> Bundle:
    """A bundle with all its bytes, each read once and checked.

    Args:
        folder: where it is.
        digest: what its digest must be; None takes what is there.

    Raises:
        NotFound: there is no bundle.
        Damaged: a file is missing, was changed, added, or is a link; or the digest is another.
    """
    where = str(folder)
    if not folder.is_dir():
        raise NotFound("there is no bundle", where=where, fix="Package the model first")
    entries = {entry.name: entry for entry in os.scandir(folder)}
    if MANIFEST not in entries:
        raise NotFound(f"there is no {MANIFEST}", where=where, fix="Package the model first")
    for name, entry in entries.items():
        if not entry.is_file(follow_symlinks=False):
            raise Damaged(f"{name!r} is not a plain file", where=where, fix="Fetch the bundle again")
    data = _read(folder / MANIFEST, LARGEST_MANIFEST)
    found = bundle_digest(data)
    if digest is not None and found != digest:
        raise Damaged(f"expected the bundle {digest}, found {found}", where=where, fix="Fetch the bundle again")
    manifest = decode_manifest(data, where=where)
    listed = {file.name for file in manifest.files}
    if added := sorted(set(entries) - listed - {MANIFEST}):
        raise Damaged(f"{added[0]!r} does not belong to the bundle", where=where, fix="Fetch the bundle again")
    return Bundle(
        digest=found, manifest=manifest, contents={file.name: _checked(folder, file) for file in manifest.files}
    )


def store_bundle(folder: Path, blobs: Blobs) -> str:
    """Keeps a bundle, its manifest last, and gives its digest. The folder is checked first."""
    bundle = read_bundle(folder)
    for file in bundle.manifest.files:
        if blobs.put(bundle.contents[file.name]) != file.digest:
            raise Damaged(f"{file.name!r} changed on its way", where=str(folder), fix="Package the model again")
    return blobs.put(_read(folder / MANIFEST, LARGEST_MANIFEST))


def fetch_bundle(digest: str, blobs: Blobs, to: Path) -> Path:
    """Brings a kept bundle into the folder `to`, whole or not at all.

    A folder that holds this very bundle already is left as it is; any other content is a `Conflict`.
    """
    if to.exists():
        try:
            read_bundle(to, digest=digest)
        except KeptError as error:
            fix = "Remove it or choose another folder"
            raise Conflict("something else is there already", where=str(to), fix=fix) from error
        return to
    data = verify(blobs.get(digest), digest, where="manifest")
    manifest = decode_manifest(data, where=f"bundle {digest}")
    to.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=to.parent, prefix=".new-"))
    try:
        for file in manifest.files:
            blobs.fetch(file.digest, fresh / file.name)
        (fresh / MANIFEST).write_bytes(data)
        read_bundle(fresh, digest=digest)
        for path in [*fresh.iterdir(), fresh]:
            flush(path)
        _settle(fresh, to, digest)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return to


def _settle(fresh: Path, to: Path, digest: str) -> None:
    try:
        fresh.rename(to)
    except OSError:
        # Another process may have brought the same bundle meanwhile.
        read_bundle(to, digest=digest)


def _checked(folder: Path, file: BundleFile) -> bytes:
    where = f"{folder / file.name}"
    data = _read(folder / file.name, file.size)
    if len(data) != file.size:
        raise Damaged(f"expected {file.size} bytes, found {len(data)}", where=where, fix="Fetch the bundle again")
    return verify(data, file.digest, where=where)


def _read(path: Path, most: int) -> bytes:
    """A plain file's bytes, one more than `most` at the most. A link is never followed."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise Damaged("the file is missing", where=str(path), fix="Fetch the bundle again") from error
    except OSError as error:
        raise Damaged(f"it cannot be read ({error.strerror})", where=str(path), fix="Fetch the bundle again") from error
    with os.fdopen(handle, "rb") as stream:
        return stream.read(most + 1)


def describe_files(contents: dict[str, bytes]) -> tuple[BundleFile, ...]:
    """The manifest's list of files."""
    return tuple(_described(name, data) for name, data in sorted(contents.items()))


def _described(name: str, data: bytes) -> BundleFile:
    if name == MANIFEST:
        raise Invalid("the manifest does not list itself", where="bundle")
    return BundleFile(name=name, size=len(data), digest=bundle_digest(data))
