from pathlib import Path

from kept.store.blobs import FolderBlobs
from kept.testing.blobs import BlobsKit


class TestFolderBlobs(BlobsKit):
    def open(self, folder: Path) -> FolderBlobs:
        return FolderBlobs(folder)

    def damage(self, folder: Path, digest: str) -> None:
        path = folder / "sha256" / digest[7:9] / digest[9:]
        path.write_bytes(path.read_bytes()[:-1] + b"m")
