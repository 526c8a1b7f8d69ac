"""Versions come and go under load, the database goes away, the service restarts: no request fails."""

import json
import shutil
import time
from pathlib import Path

import httpx
import polars as pl
import pytest
from predicting import ROW, Packaged, Service
from test_shipping import Load

from kept.core.errors import Invalid
from kept.serving.service import serve
from kept.settings.settings import Settings
from kept.store.blobs import FolderBlobs


def version(service: Service) -> int:
    answer = httpx.post(f"{service.url}/predict/late", json={"rows": [ROW]})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["version"])


def test_switching_versions_under_load_fails_no_request(service: Service) -> None:
    service.start()
    load = Load(service)
    for turn in range(100):
        kind = ("first", "second")[turn % 2]
        service.wait_for_revision(service.route(late=(service.arm(kind, turn + 1),)))
        assert version(service) == turn + 1
    load.stop()
    assert load.failures == []
    assert len(load.answered) > 100


def test_a_service_that_is_told_to_stop_answers_what_has_come(service: Service) -> None:
    service.start()
    load = Load(service)
    end = time.monotonic() + 60
    while len(load.answered) <= 100:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert service.stop() == 0
    load.stop()
    # New connections are refused then; none that was there was cut in a request.
    assert [failure for failure in load.failures if "refused" not in failure] == []


def test_a_new_version_is_seen_by_callers_with_their_connection_open(
    service: Service, packaged: dict[str, Packaged]
) -> None:
    service.start()
    frame = pl.DataFrame([ROW])
    with httpx.Client(base_url=service.url) as client:
        before = client.post("/predict/late", json={"rows": [ROW]}).json()["predictions"][0]["probability"]
        service.wait_for_revision(service.route(late=(service.arm("second", 2),)))
        after = client.post("/predict/late", json={"rows": [ROW]}).json()["predictions"][0]["probability"]
    assert before == pytest.approx(packaged["first"].expected(frame)[0], abs=1e-12)
    assert after == pytest.approx(packaged["second"].expected(frame)[0], abs=1e-12)


def test_with_the_database_away_it_goes_on_and_starts_from_cold(service: Service) -> None:
    service.start()
    (service.root / "table.json").unlink()
    shutil.rmtree(service.root / "blobs")
    time.sleep(0.1)
    assert version(service) == 1
    assert "kept_routing_source_up 0.0" in httpx.get(f"{service.url}/metrics").text
    service.kill()
    service.start()
    assert version(service) == 1
    assert httpx.get(f"{service.url}/v2/health/ready").status_code == 200


def test_without_table_and_copy_it_says_so_and_heals(service: Service) -> None:
    table = (service.root / "table.json").rename(service.root / "away.json")
    service.start()
    refused = httpx.post(f"{service.url}/predict/late", json={"rows": [ROW]})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert httpx.get(f"{service.url}/v2/health/ready").status_code == 503
    assert httpx.get(f"{service.url}/v2/health/live").status_code == 200
    table.rename(service.root / "table.json")
    service.wait_for_revision(1)
    assert version(service) == 1


def test_a_version_that_cannot_be_loaded_changes_nothing(service: Service) -> None:
    service.start()
    digest = service.digests["second"]
    blob = service.root / "blobs" / "sha256" / digest[7:9] / digest[9:]
    whole = blob.read_bytes()
    blob.write_bytes(whole[:-1])
    revision = service.route(late=(service.arm("second", 2),), other=(service.arm("second", 2),))
    service.wait_for_revision(revision)
    assert version(service) == 1
    refused = httpx.post(f"{service.url}/predict/other", json={"rows": [ROW]})
    assert refused.status_code == 503
    assert "version 2" in refused.json()["error"]
    assert "kept_routes_in_trouble 2.0" in httpx.get(f"{service.url}/metrics").text


def test_a_damaged_local_copy_is_not_served(service: Service) -> None:
    service.start()
    service.kill()
    [bundle] = (service.root / "serving" / "bundles").iterdir()
    model = bundle / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    service.start()
    assert httpx.post(f"{service.url}/predict/late", json={"rows": [ROW]}).status_code == 200
    assert json.loads((bundle / "manifest.json").read_bytes())
    assert not model.read_bytes().endswith(b"?")


def test_one_bundle_is_served_without_a_workspace(service: Service, packaged: dict[str, Packaged]) -> None:
    service.start("--bundle", str(packaged["second"].folder))
    assert version(service) == 1
    assert service.stop() == 0


def test_beyond_loopback_a_token_is_needed(tmp_path: Path) -> None:
    class Nowhere:
        def current(self, known_revision: int | None) -> None:
            return None

    with pytest.raises(Invalid, match="Set KEPT_TOKEN"):
        serve(tmp_path, Settings(host="0.0.0.0"), Nowhere(), FolderBlobs(tmp_path / "blobs"), port=0)
