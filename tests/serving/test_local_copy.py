"""The service's own copies of bundles: those that no route names any more go, but not at once."""

import os
import time
from pathlib import Path

import httpx
from predicting import ROW, Packaged, Service

from kept.packaging.bundle import store_bundle
from kept.serving.local import LocalCopy
from kept.store.blobs import FolderBlobs

_LONG_AGO = time.time() - 7_200


def test_what_is_not_named_goes_after_an_hour(tmp_path: Path, packaged: dict[str, Packaged]) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    copy = LocalCopy(tmp_path / "serving", blobs)
    copy.tidy([])
    named, new, old = (store_bundle(packaged[kind].folder, blobs) for kind in ("first", "second", "wider"))
    left = tmp_path / "serving" / "bundles" / ".new-left-by-a-crash"
    folders = [copy.folder(digest) for digest in (named, new, old)]
    left.mkdir()
    for folder in (folders[0], folders[2], left):
        os.utime(folder, (_LONG_AGO, _LONG_AGO))
    copy.tidy([named])
    assert [folder.is_dir() for folder in (*folders, left)] == [True, True, False, False]
    assert sorted(path.name for path in left.parent.iterdir()) == sorted(folder.name for folder in folders[:2])
    # It is brought again when it is named again, and what is asked for is new again.
    assert copy.folder(old).is_dir()
    os.utime(folders[1], (_LONG_AGO, _LONG_AGO))
    copy.folder(new)
    copy.tidy([named])
    assert folders[1].is_dir()


def test_a_service_that_follows_a_table_leaves_only_what_it_names(service: Service) -> None:
    service.start()
    bundles = service.root / "serving" / "bundles"
    (first,) = bundles.iterdir()
    os.utime(first, (_LONG_AGO, _LONG_AGO))
    service.wait_for_revision(
        service.route(late=(service.arm("first", 1, weight=0.5), service.arm("second", 2, "canary", 0.5)))
    )
    assert first.is_dir()
    service.wait_for_revision(service.route(late=(service.arm("second", 2),)))
    left = [service.digests["second"].removeprefix("sha256:")]
    deadline = time.monotonic() + 60
    while [folder.name for folder in bundles.iterdir()] != left:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert httpx.post(f"{service.url}/predict/late", json={"rows": [ROW]}).json()["version"] == 2
