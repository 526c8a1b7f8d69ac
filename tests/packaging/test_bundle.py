import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import polars as pl
import pytest

from kept.core.digests import digest_bytes
from kept.core.errors import Conflict, Damaged, KeptError, NotFound
from kept.packaging.bundle import fetch_bundle, read_bundle, store_bundle
from kept.packaging.manifest import MANIFEST, Manifest, decode_manifest, encode_manifest
from kept.packaging.runtime import load_runtime
from kept.packaging.self_test import SELF_TEST
from kept.store.blobs import FolderBlobs


def test_a_bundle_goes_through_blobs_and_answers_the_same(
    packaged: Callable[..., tuple[Path, Manifest]], frame: pl.DataFrame, tmp_path: Path
) -> None:
    folder, _ = packaged()
    blobs = FolderBlobs(tmp_path / "blobs")
    digest = store_bundle(folder, blobs)
    assert digest == read_bundle(folder).digest == digest_bytes((folder / MANIFEST).read_bytes())
    copy = fetch_bundle(digest, blobs, tmp_path / "server" / "copy")
    assert fetch_bundle(digest, blobs, copy) == copy
    rows = frame.to_dicts()
    first, second = load_runtime(folder), load_runtime(copy, digest=digest)
    assert second.digest == digest
    assert first.predict_rows(rows).tobytes() == second.predict_rows(rows).tobytes()
    assert not [path for path in copy.parent.iterdir() if path.name.startswith(".new-")]


def test_a_manifest_says_what_is_known(packaged: Callable[..., tuple[Path, Manifest]]) -> None:
    folder, manifest = packaged()
    assert decode_manifest((folder / MANIFEST).read_bytes(), where="test") == manifest
    assert (manifest.format, manifest.runtime, manifest.model, manifest.input) == (1, "onnx", "model.onnx", "matrix")
    assert manifest.estimator.endswith("HistGradientBoostingClassifier")
    assert manifest.parity.holds
    assert 0 < manifest.latency.p50_ms <= manifest.latency.p99_ms
    assert manifest.latency.runs >= 1000
    assert manifest.size_bytes == sum(file.size for file in manifest.files)
    assert manifest.size_mb == manifest.size_bytes / 1e6
    assert "scikit-learn" in manifest.environment.packages
    assert manifest.created_at.tzinfo is not None
    materials = json.loads((folder / "sbom.cdx.json").read_bytes())
    assert materials["bomFormat"] == "CycloneDX"
    assert any(item["name"] == "onnxruntime" for item in materials["components"])


def test_one_changed_bit_anywhere_is_refused(packaged: Callable[..., tuple[Path, Manifest]]) -> None:
    folder, _ = packaged()
    digest = read_bundle(folder).digest
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        for place in {0, 1, len(data) // 3, len(data) // 2, len(data) - 1}:
            for bit in (0, 5):
                changed = bytearray(data)
                changed[place] ^= 1 << bit
                path.write_bytes(changed)
                with pytest.raises(Damaged):
                    load_runtime(folder, digest=digest)
        path.write_bytes(data)
    load_runtime(folder, digest=digest)


def test_added_removed_longer_and_linked_files_are_refused(
    packaged: Callable[..., tuple[Path, Manifest]], tmp_path: Path
) -> None:
    folder, manifest = packaged()
    names = [file.name for file in manifest.files] + [MANIFEST]
    (folder / "more.txt").write_text("more")
    with pytest.raises(Damaged, match="does not belong"):
        read_bundle(folder)
    (folder / "more.txt").unlink()
    (folder / "sub").mkdir()
    with pytest.raises(Damaged, match="not a plain file"):
        read_bundle(folder)
    (folder / "sub").rmdir()
    for name in names:
        path, away = folder / name, tmp_path / f"away-{name}"
        shutil.move(path, away)
        with pytest.raises((Damaged, NotFound)):
            read_bundle(folder)
        path.symlink_to(away)
        with pytest.raises(Damaged, match="plain file"):
            read_bundle(folder)
        path.unlink()
        shutil.copy(away, path)
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes() + b"\0")
    with pytest.raises(Damaged, match="expected"):
        read_bundle(folder)
    with pytest.raises(NotFound):
        read_bundle(tmp_path / "nowhere")
    with pytest.raises(NotFound):
        load_runtime(tmp_path)


def test_a_pipe_in_the_place_of_a_file_is_refused_at_once(packaged: Callable[..., tuple[Path, Manifest]]) -> None:
    folder, _ = packaged()
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")
    with pytest.raises(Damaged, match="plain file"):
        read_bundle(folder)


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/passwd",
        "a/b",
        "..",
        ".",
        "",
        ".hidden",
        "a\\b",
        "C:evil",
        "a\0b",
        "manifest.json",
        "x" * 200,
        "a..b/",
        "a\n",
        "ä",
    ],
)
def test_a_manifest_cannot_name_a_path(
    packaged: Callable[..., tuple[Path, Manifest]], tmp_path: Path, name: str
) -> None:
    folder, manifest = packaged()
    raw = json.loads(encode_manifest(manifest))
    raw["files"][0]["name"] = name
    data = msgspec.json.encode(raw)
    with pytest.raises(Damaged):
        decode_manifest(data, where="test")
    blobs = FolderBlobs(tmp_path / "blobs")
    store_bundle(folder, blobs)
    with pytest.raises(Damaged):
        fetch_bundle(blobs.put(data), blobs, tmp_path / "room" / "copy")
    assert not list((tmp_path / "room").iterdir()) if (tmp_path / "room").exists() else True


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": 2}', b'{"format":1,"unknown":1}'],
)
def test_what_is_no_manifest_is_damaged(data: bytes) -> None:
    with pytest.raises(Damaged):
        decode_manifest(data, where="test")


def test_files_that_differ_by_case_only_are_refused(packaged: Callable[..., tuple[Path, Manifest]]) -> None:
    _, manifest = packaged()
    raw = json.loads(encode_manifest(manifest))
    raw["files"].append(raw["files"][0] | {"name": raw["files"][0]["name"].upper()})
    with pytest.raises(Damaged, match="twice"):
        decode_manifest(msgspec.json.encode(raw), where="test")


def test_a_missing_blob_leaves_nothing_behind(packaged: Callable[..., tuple[Path, Manifest]], tmp_path: Path) -> None:
    folder, manifest = packaged()
    blobs = FolderBlobs(tmp_path / "blobs")
    digest = store_bundle(folder, blobs)
    model = next(file.digest for file in manifest.files if file.name == manifest.model)
    (tmp_path / "blobs" / "sha256" / model[7:9] / model[9:]).unlink()
    with pytest.raises(NotFound):
        fetch_bundle(digest, blobs, tmp_path / "room" / "copy")
    assert list((tmp_path / "room").iterdir()) == []


def test_another_folder_is_not_overwritten(packaged: Callable[..., tuple[Path, Manifest]], tmp_path: Path) -> None:
    folder, _ = packaged()
    blobs = FolderBlobs(tmp_path / "blobs")
    digest = store_bundle(folder, blobs)
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    with pytest.raises(Conflict):
        fetch_bundle(digest, blobs, other)
    assert (other / "mine.txt").read_text() == "mine"


def test_a_bundle_that_answers_otherwise_than_where_it_was_made_is_refused(
    packaged: Callable[..., tuple[Path, Manifest]],
) -> None:
    folder, manifest = packaged()
    test = json.loads((folder / SELF_TEST).read_bytes())
    test["answers"][0][0] += 1e-6
    data = msgspec.json.encode(test)
    (folder / SELF_TEST).write_bytes(data)
    files = tuple(
        msgspec.structs.replace(file, size=len(data), digest=digest_bytes(data)) if file.name == SELF_TEST else file
        for file in manifest.files
    )
    (folder / MANIFEST).write_bytes(encode_manifest(msgspec.structs.replace(manifest, files=files)))
    with pytest.raises(Damaged, match="otherwise than where it was packaged"):
        load_runtime(folder)


def test_every_error_is_one_of_ours(packaged: Callable[..., tuple[Path, Manifest]]) -> None:
    folder, _ = packaged()
    (folder / MANIFEST).write_bytes(b"\0" * 10)
    with pytest.raises(KeptError):
        load_runtime(folder)


def test_services_of_before_there_was_a_conversion_read_what_was_not_converted(
    packaged: Callable[..., tuple[Path, Manifest]],
) -> None:
    _, manifest = packaged()
    assert "converted" not in json.loads(encode_manifest(manifest))
    converted = msgspec.structs.replace(manifest, converted=("GaussianNB",))
    for one in (manifest, converted):
        assert decode_manifest(encode_manifest(one), where="here") == one
