"""What is so of blobs in a folder only; what every keeper of blobs does is in its conformance kit."""

import os
from pathlib import Path

import pytest

from kept.core.errors import Unavailable
from kept.store.blobs import FolderBlobs


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


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


def test_what_a_killed_writer_left_goes_away_and_what_is_being_written_stays(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    digest = FolderBlobs(folder).put(b"model")
    (folder / "new" / "old").write_bytes(b"mod")
    (folder / "new" / "fresh").write_bytes(b"mod")
    os.utime(folder / "new" / "old", (0, 0))
    assert FolderBlobs(folder).get(digest) == b"model"
    assert [path.name for path in (folder / "new").iterdir()] == ["fresh"]
