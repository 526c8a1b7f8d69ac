"""Writes bundles: whole, loaded once as a server would load them, or not at all."""

import shutil
import tempfile
from pathlib import Path

from kept.core.errors import CheckFailed, Conflict, Damaged
from kept.packaging.manifest import MANIFEST, Manifest, bundle_digest, encode_manifest
from kept.packaging.runtime import load_runtime

MATERIALS = "sbom.cdx.json"
UNSTEADY = "Give it a fixed random_state, or build it from parts whose answers depend on their input only"


def expect_room(folder: Path) -> None:
    """`Conflict` when a bundle cannot be written there."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict("the folder is not empty", where=str(folder), fix="Choose another, or remove it")


def write_bundle(folder: Path, contents: dict[str, bytes], manifest: Manifest) -> None:
    """Writes the bundle, loads it once as a server would, and only then gives it its name."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".new-"))
    try:
        for name, data in contents.items():
            (fresh / name).write_bytes(data)
        encoded = encode_manifest(manifest)
        (fresh / MANIFEST).write_bytes(encoded)
        try:
            load_runtime(fresh, trusted=frozenset({bundle_digest(encoded)}))
        except Damaged as error:
            raise CheckFailed(
                f"the written bundle does not load: {error}", where=manifest.estimator, fix=UNSTEADY
            ) from error
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
