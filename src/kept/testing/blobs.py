"""The conformance kit of `kept.store.blobs.Blobs`. Needs pytest."""

import random
import tracemalloc
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from kept.core.digests import digest_bytes
from kept.core.errors import Damaged, Invalid, NotFound
from kept.store.blobs import Blobs

_NONE = "sha256:" + "0" * 64
_LARGE = 48 << 20


class BlobsKit(ABC):
    """What every keeper of blobs does."""

    @abstractmethod
    def open(self, folder: Path) -> Blobs:
        """The keeper at this folder, which need not be there yet. Opened again, it has what was kept before."""

    @abstractmethod
    def damage(self, folder: Path, digest: str) -> None:
        """Changes the bytes kept under this digest at this folder, behind the keeper's back."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Where the keeper of one test keeps."""
        return tmp_path / "blobs"

    @pytest.fixture
    def blobs(self, folder: Path) -> Blobs:
        """The keeper of one test, empty."""
        return self.open(folder)

    def test_any_bytes_come_back_by_their_digest(self, blobs: Blobs) -> None:
        chance = random.Random(7)
        for size in [0, 1, *(chance.randrange(2000) for _ in range(100))]:
            data = chance.randbytes(size)
            digest = blobs.put(data)
            assert digest == digest_bytes(data)
            assert blobs.get(digest) == data
            assert blobs.put(data) == digest

    def test_a_file_and_its_bytes_have_one_digest(self, blobs: Blobs, tmp_path: Path) -> None:
        data = b"x" * 3_000_000
        (tmp_path / "model").write_bytes(data)
        digest = blobs.put_file(tmp_path / "model")
        assert digest == blobs.put(data)
        assert (tmp_path / "model").read_bytes() == data
        (tmp_path / "again").write_bytes(b"older and longer" * 1_000_000)
        blobs.fetch(digest, tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == data

    def test_a_large_file_is_never_whole_in_memory(self, blobs: Blobs, tmp_path: Path) -> None:
        with (tmp_path / "model").open("wb") as stream:
            stream.truncate(_LARGE)
        tracemalloc.start()
        try:
            blobs.fetch(blobs.put_file(tmp_path / "model"), tmp_path / "again")
            assert tracemalloc.get_traced_memory()[1] < _LARGE / 3
        finally:
            tracemalloc.stop()
        assert (tmp_path / "again").stat().st_size == _LARGE

    def test_it_is_there_when_it_is_opened_again(self, blobs: Blobs, folder: Path) -> None:
        digest = blobs.put(b"model")
        assert blobs.has(digest)
        again = self.open(folder)
        assert again.has(digest)
        assert again.get(digest) == b"model"
        later = again.put(b"another")
        assert blobs.get(later) == b"another"

    def test_many_threads_keep_the_same_bytes(self, blobs: Blobs) -> None:
        data = b"x" * 100_000
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda _: blobs.put(data), range(32))) == {digest_bytes(data)}
        assert blobs.get(digest_bytes(data)) == data

    def test_a_flipped_bit_is_found(self, blobs: Blobs, folder: Path, tmp_path: Path) -> None:
        digest = blobs.put(b"model")
        self.damage(folder, digest)
        with pytest.raises(Damaged):
            blobs.get(digest)
        with pytest.raises(Damaged):
            blobs.fetch(digest, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_what_was_damaged_is_whole_once_it_is_kept_again(self, blobs: Blobs, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "model").write_bytes(b"model")
        digest = blobs.put(b"model")
        for again in (partial(blobs.put, b"model"), partial(blobs.put_file, tmp_path / "model")):
            self.damage(folder, digest)
            assert again() == digest
            assert blobs.get(digest) == b"model"

    def test_what_is_not_there_is_not_found(self, blobs: Blobs, tmp_path: Path) -> None:
        with pytest.raises(NotFound):
            blobs.get(_NONE)
        with pytest.raises(NotFound):
            blobs.fetch(_NONE, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        assert not blobs.has(_NONE)

    def test_a_file_that_is_not_there_is_not_found(self, blobs: Blobs, tmp_path: Path) -> None:
        with pytest.raises(NotFound, match="no such file"):
            blobs.put_file(tmp_path / "model")

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
    def test_only_digests_name_blobs(self, blobs: Blobs, tmp_path: Path, digest: str) -> None:
        with pytest.raises(Invalid):
            blobs.get(digest)
        with pytest.raises(Invalid):
            blobs.fetch(digest, tmp_path / "out")
        with pytest.raises(Invalid):
            blobs.has(digest)
