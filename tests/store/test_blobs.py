import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.core.errors import Damaged, Invalid, NotFound, Unavailable
from kept.store.blobs import FolderBlobs


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


@given(data=st.binary(max_size=2000))
def test_bytes_come_back_by_their_digest(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    blobs = FolderBlobs(tmp_path_factory.mktemp("blobs"))
    digest = blobs.put(data)
    assert blobs.get(digest) == data
    assert blobs.put(data) == digest


def test_a_file_and_its_bytes_have_one_digest(blobs: FolderBlobs, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"x" * 3_000_000)
    digest = blobs.put_file(tmp_path / "model")
    assert digest == blobs.put(b"x" * 3_000_000)
    blobs.fetch(digest, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == b"x" * 3_000_000


def test_a_flipped_bit_is_found(blobs: FolderBlobs, tmp_path: Path) -> None:
    digest = blobs.put(b"model")
    path = next(path for path in (tmp_path / "blobs").rglob("*") if path.is_file())
    path.chmod(0o644)
    path.write_bytes(b"modem")
    with pytest.raises(Damaged):
        blobs.get(digest)
    with pytest.raises(Damaged):
        blobs.fetch(digest, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_not_there_is_not_found(blobs: FolderBlobs, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        blobs.get("sha256:" + "0" * 64)
    with pytest.raises(NotFound):
        blobs.fetch("sha256:" + "0" * 64, tmp_path / "out")
    assert not blobs.has("sha256:" + "0" * 64)


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "x",
        "sha256:../../etc/passwd",
        "sha256:" + "../" * 21 + "a",
        "md5:" + "0" * 64,
        "sha256:" + "G" * 64,
        "sha256:" + "²" * 64,
    ],
)
def test_only_digests_name_blobs(blobs: FolderBlobs, digest: str) -> None:
    with pytest.raises(Invalid):
        blobs.get(digest)


def test_a_full_disk_is_said_and_leaves_nothing_half(
    blobs: FolderBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "model").write_bytes(b"model")
    with pytest.raises(Unavailable, match="No space left on device"):
        blobs.put(b"model")
    with pytest.raises(Unavailable, match="No space left on device"):
        blobs.put_file(tmp_path / "model")
    assert not [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


def test_a_file_that_is_not_there_is_not_found(blobs: FolderBlobs, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such file"):
        blobs.put_file(tmp_path / "model")


def test_what_a_killed_writer_left_goes_away_and_what_is_being_written_stays(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    digest = FolderBlobs(folder).put(b"model")
    (folder / "new" / "old").write_bytes(b"mod")
    (folder / "new" / "fresh").write_bytes(b"mod")
    os.utime(folder / "new" / "old", (0, 0))
    assert FolderBlobs(folder).get(digest) == b"model"
    assert [path.name for path in (folder / "new").iterdir()] == ["fresh"]
