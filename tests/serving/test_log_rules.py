"""What is declared of the prediction log: how much of it is kept, what it must not hold, what gives way when it is full."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from predicting import ROW, Service
from test_log import answered, failed, note, read
from test_shipping import predictions, shipper_of

from kept.core.errors import Invalid, Unavailable
from kept.serving.entries import Answered, ArmNote, Failed
from kept.serving.log import Spool
from kept.serving.logrules import LogRules, log_rules
from kept.serving.redaction import Redaction
from kept.settings.settings import Settings, load_settings

SECRET = "a secret of twenty letters"


def ask(service: Service, count: int, **sent: Any) -> list[str]:
    with httpx.Client(base_url=service.url) as client:
        answers = [client.post("/predict/late", json={"rows": [ROW, ROW], **sent}).json() for _ in range(count)]
    return [one["id"] for answer in answers for one in answer["predictions"]]


def metric(service: Service, name: str) -> float:
    lines = httpx.get(f"{service.url}/metrics").text.splitlines()
    return next(float(line.split(" ")[1]) for line in lines if line.startswith(f"{name} "))


def test_a_share_of_the_requests_is_logged_and_the_table_says_so(service: Service) -> None:
    service.route(late=(service.arm("first", 1), service.arm("second", 2, "shadow", 0.0)))
    service.settings["log_share"] = "0.25"
    service.start()
    ids = ask(service, 400)
    assert len(set(ids)) == 800
    unsampled = metric(service, "kept_log_requests_unsampled_total")
    assert service.stop() == 0
    shipper_of(service.root).ship()
    table = predictions(service.root)
    logged = table.filter(role="champion")
    assert set(logged["id"]) <= set(ids)
    assert logged["share"].unique().to_list() == [0.25]
    # Whole requests, both rows: 100 of 400 expected, five standard deviations either way.
    assert logged.height % 2 == 0
    assert logged.height // 2 + unsampled == 400
    assert abs(logged.height // 2 - 100) < 44
    # Shadows are asked about the same requests.
    assert set(table.filter(role="shadow")["answer_id"]) == set(logged["id"])


def test_named_features_never_reach_the_spool(service: Service) -> None:
    service.settings |= {"log_drop": "distance", "log_hash": "carrier, hour", "log_key": SECRET}
    service.start()
    with httpx.Client(base_url=service.url) as client:
        for carrier, hour in (("AA", 8), ("UA", 8.0), ("AA", None)):
            row = {"distance": 98765.4321, "hour": hour, "carrier": carrier, "express": True}
            assert client.post("/predict/late", json={"rows": [row]}).status_code == 200
        assert client.post("/predict/late", json={"rows": [ROW | {"hour": 8765.25}]}).status_code == 400
    assert service.stop() == 0
    [segment] = (service.root / "spool").glob("*/*.log")
    assert b"8765.25" not in segment.read_bytes()
    assert b"AA" not in segment.read_bytes()
    shipper_of(service.root).ship()
    table = predictions(service.root)
    assert [name for name in table.columns if name.startswith("feature_")] == [
        "feature_hour",
        "feature_carrier",
        "feature_express",
    ]
    first, second, third = table["feature_carrier"]
    assert first == third != second
    assert len(first) == 32
    hours = table["feature_hour"].to_list()
    assert hours[0] == hours[1] is not None
    assert hours[2] is None
    [error] = pl.read_delta(str(service.root / "tables" / "prediction_errors" / "late"))["reason"]
    assert error == "refused; what it says of hour is not logged"


def test_hashes_depend_on_key_and_name() -> None:
    def hashes(key: str, names: tuple[str, str]) -> list[Any]:
        rules = LogRules(hash=frozenset(names), key=key.encode())
        arm = ArmNote(
            key="k", endpoint="late", version_id="v", number=1, model="m", bundle="b", role="champion", task="binary",
            classes=("no", "yes"), names=names, kinds=("text", "text"),
        )  # fmt: skip
        changed, batch = Redaction(rules).of(arm, answered(("same", "same")))
        assert changed.kinds == ("text", "text")
        return list(batch.features[0])

    one, other = hashes("first key", ("a", "b"))
    assert one != other
    assert hashes("first key", ("a", "c"))[0] == one
    assert hashes("other key", ("a", "b"))[0] != one


def test_what_is_declared_under_a_name_that_no_feature_has_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    redaction = Redaction(LogRules(drop=frozenset({"a", "A", "street"})))
    for _ in range(2):
        changed, batch = redaction.of(note(), answered((1.0, "x")))
    assert (changed.names, batch.features) == (("b",), [["x"]])
    assert [one.getMessage() for one in caplog.records] == [
        "late/v1 takes no A, street, which the log is declared not to hold"
    ]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"log_hash": "a", "log_key": "short"}, "guessed"),
        ({"log_keep": "2h"}, "shorter than a day"),
        ({"log_keep": "soon"}, "not a length of time"),
        ({"log_share": 0}, "log_share"),
        ({"log_overflow": "wait"}, "log_overflow"),
    ],
)
def test_wrong_declarations_are_refused(tmp_path: Path, given: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        load_settings(tmp_path, {}, **given)


def test_settings_become_rules() -> None:
    found = log_rules(Settings(log_drop=" a ,b,", log_hash="b,c", log_key=SECRET, log_megabytes=2, log_flush=True))
    assert [sorted(names) for names in (found.drop, found.hash, found.redacted)] == [["a", "b"], ["c"], ["a", "b", "c"]]
    assert (found.most_bytes, found.flush, found.overflow) == (2 << 20, True, "shed")


def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes every write of this process fail; what is given back ends that."""

    def refuse(file: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    really = os.write
    monkeypatch.setattr(os, "write", refuse)
    return lambda: monkeypatch.setattr(os, "write", really)


@pytest.mark.parametrize("overflow", ["shed", "drop"])
def test_a_full_disk_sheds_or_drops_as_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overflow: Any) -> None:
    spool = Spool(tmp_path, rules=LogRules(overflow=overflow))
    spool.write([(note(), answered((1.0, "x")))])
    mend = full_disk(monkeypatch)
    if overflow == "shed":
        with pytest.raises(Unavailable, match="No space left"):
            spool.write([(note(), answered((2.0, "x")))])
    else:
        spool.write([(note(), answered((2.0, "x"), (2.0, "y")))], [failed()])
    assert spool.counts.dropped == (0 if overflow == "shed" else 3)
    counts = spool.counts
    full = [counts.full]
    mend()
    spool.write([(note(), answered((3.0, "x")))])
    assert [*full, counts.full] == [True, False]
    batches = [entry for entry in read(spool) if isinstance(entry, Answered)]
    assert [batch.features[0][0] for batch in batches] == [1.0, 3.0]
    spool.close()


def test_no_more_waits_than_is_declared_and_shipping_makes_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", segment_bytes=4_000, rules=LogRules(most_bytes=20_000))
    written = 0
    with pytest.raises(Unavailable, match="log_megabytes"):
        for written in range(1000):
            spool.write([(note(), answered((1.0, "x" * 50), start=written))])
    size = sum(path.stat().st_size for path in spool.folder.glob("*.log"))
    assert 20_000 <= size < 20_000 + 4_500
    shipper = shipper_of(tmp_path)
    shipper.ship()
    for _ in range(3_000):
        try:
            spool.write([(note(), answered((2.0, "x"), start=written))])
            break
        except Unavailable:
            time.sleep(0.02)
    else:
        raise AssertionError("no room was found")
    spool.close()
    shipper.ship()
    assert predictions(tmp_path).height == written + 1


def test_flushing_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    really = os.fdatasync

    def fdatasync(descriptor: int) -> None:
        flushed.append(descriptor)
        really(descriptor)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    for flush, expected in ((False, 0), (True, 3)):
        spool = Spool(tmp_path, rules=LogRules(flush=flush))
        spool.write([(note(), answered((1.0, "x")))])
        spool.write([(note(), answered((1.0, "x")))], [failed()])
        spool.close()
        assert len(flushed) == expected


def test_failures_are_logged_whatever_the_share(tmp_path: Path) -> None:
    spool = Spool(tmp_path, rules=LogRules(share=0.01))
    for _ in range(20):
        spool.write([], [failed()])
    assert sum(isinstance(entry, Failed) for entry in read(spool)) == 20
    spool.close()
