"""Every answered prediction is in its table exactly once, whatever is killed when."""

import multiprocessing
import random
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import httpx
import msgspec
import polars as pl
import pytest
import xxhash
from predicting import ROW, Service, flights, until
from ship_process import ship_for_ever
from test_log import answered, failed, note

from kept.core.clock import SystemClock
from kept.governance.workspace import Workspace
from kept.monitoring.stream import Stream, features_of
from kept.serving.entries import Answered, frames
from kept.serving.log import Spool
from kept.serving.logrules import LogRules
from kept.serving.shipping import Shipped, Shipper, ship
from kept.store.spool import is_live
from kept.store.tables import DeltaTables


def shipper_of(root: Path) -> Shipper:
    return Shipper(root / "spool", DeltaTables(root / "tables"), SystemClock())


def predictions(root: Path, endpoint: str = "late") -> pl.DataFrame:
    return DeltaTables(root / "tables").read(f"predictions/{endpoint}").sort("position").collect()


class Load:
    """Clients that ask until they are told to stop, and remember what they were answered."""

    def __init__(self, service: Service, clients: int = 4) -> None:
        self._service = service
        self.answered: list[str] = []
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(client,)) for client in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self, client: int) -> None:
        with httpx.Client(base_url=self._service.url, timeout=60) as connection:
            count = 0
            while not self._stop.is_set():
                count += 1
                rows = [ROW | {"distance": float(count)}] * (1 + count % 3)
                try:
                    answer = connection.post(
                        "/predict/late", json={"rows": rows, "keys": [f"{client}-{count}"] * len(rows)}
                    )
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                    if self._service.process is None or self._service.process.poll() is not None:
                        return
                    continue
                if answer.status_code == 200:
                    self.answered += [one["id"] for one in answer.json()["predictions"]]
                else:
                    self.failures.append(answer.text)

    def wait(self, count: int) -> None:
        """Returns when so many predictions were answered."""
        until(lambda: len(self.answered) >= count)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_what_a_killed_service_answered_is_shipped_once(service: Service) -> None:
    answered: list[str] = []
    for _ in range(3):
        load = Load(service.start())
        load.wait(40)
        service.kill()
        load.stop()
        answered += load.answered
    assert len(answered) > 100
    found = Shipped()
    shipper = shipper_of(service.root)
    while (step := shipper.ship()).rows:
        found = step
    assert found.newest_event_time is not None
    ids = predictions(service.root)["id"].to_list()
    assert len(ids) == len(set(ids))
    # A prediction may have been logged whose answer did not get out any more, never the other way round.
    assert set(answered) <= set(ids)
    assert len(set(ids) - set(answered)) <= 3 * 4 * 3
    assert not [path for path in (service.root / "spool").iterdir() if path.is_dir()]


@pytest.mark.parametrize(
    "kills", [20, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(900)])], ids=["some", "many"]
)
def test_a_shipper_killed_at_any_moment_neither_loses_nor_repeats(tmp_path: Path, kills: int) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    tables = tmp_path / "tables"
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["ship_process"])
    life = Life(tmp_path)
    written = life.written
    with life:
        for kill in range(kills):
            begun = processes.Event()
            process = processes.Process(target=ship_for_ever, args=(tmp_path / "spool", tables, begun))
            process.start()
            assert begun.wait(60)
            time.sleep(chance.random() * 0.25)
            process.kill()
            process.join()
            for endpoint in written:
                assert_shipped_up_to_a_point(tmp_path, endpoint, f"seed {seed}, kill {kill}")
    shipper = shipper_of(tmp_path)
    while shipper.ship().rows:
        pass
    for endpoint, count in written.items():
        ids = predictions(tmp_path, endpoint)["id"].to_list()
        assert sorted(ids) == sorted(f"{endpoint}-{number}" for number in range(count)), f"seed {seed}"
    errors = DeltaTables(tables).read("prediction_errors/late").collect()
    assert errors.height == sum(written.values()) // 5, f"seed {seed}"
    assert not [path for path in (tmp_path / "spool").iterdir() if path.is_dir()]


class Life:
    """Predictions are logged for two endpoints, and somebody compacts and vacuums their tables meanwhile."""

    def __init__(self, root: Path) -> None:
        self.written = {"late": 0, "other": 0}
        self._spool = Spool(root / "spool", segment_bytes=50_000)
        self._tables = DeltaTables(root / "tables")
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._write), threading.Thread(target=self._tend)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()
        self._spool.close()

    def _write(self) -> None:
        while not self._done.wait(0.02):
            for endpoint, start in list(self.written.items()):
                rows = [(1.0, "x")] * 5
                self._spool.write([(note(endpoint), answered(*rows, start=start, endpoint=endpoint))], [failed()])
                self.written[endpoint] = start + 5

    def _tend(self) -> None:
        while not self._done.wait(0.3):
            for table in (*self._tables.names("predictions"), *self._tables.names("prediction_errors")):
                self._tables.compact(table)
                self._tables.vacuum(table, timedelta(hours=1))


def assert_shipped_up_to_a_point(root: Path, endpoint: str, when: str) -> None:
    """Every prediction up to some point of the log is in the table once, and none behind it."""
    if DeltaTables(root / "tables").version(f"predictions/{endpoint}") is None:
        return
    ids = predictions(root, endpoint)["id"].to_list()
    assert sorted(ids) == sorted(f"{endpoint}-{number}" for number in range(len(ids))), when


def test_two_shippers_take_turns(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", segment_bytes=5_000)
    shippers = [shipper_of(tmp_path), shipper_of(tmp_path)]
    for turn in range(30):
        spool.write([(note(), answered((1.0, "x"), start=turn))])
        shippers[turn % 2].ship()
    assert sorted(predictions(tmp_path)["id"]) == sorted(f"late-{turn}" for turn in range(30))
    spool.close()


def test_the_rows_hold_what_was_sent_and_answered(service: Service, workspace: Workspace) -> None:
    service.route(
        late=(service.arm("first", 1), service.arm("second", 2, "shadow", 0.0)),
        hours=(service.arm("regression", 3),),
        kinds=(service.arm("multiclass", 4),),
    )
    service.start()
    rows = [ROW, ROW | {"carrier": None, "hour": 7.0}]
    with httpx.Client(base_url=service.url) as client:
        body = {"rows": rows, "keys": ["a", 2], "event_times": ["2013-04-01T12:00:00Z", "2013-04-01T14:30:00.5+02:00"]}
        late = client.post("/predict/late", json=body).json()["predictions"]
        plain = flights(1).select("distance", "wind").to_dicts()
        hours = client.post("/predict/hours", json={"rows": plain}).json()["predictions"]
        kinds = client.post("/predict/kinds", json={"rows": plain, "event_time": "2013-04-01T12:00:00Z"}).json()[
            "predictions"
        ]
        assert client.post("/predict/late", json={"rows": [{}]}).status_code == 400
        assert client.post("/predict/nobody", json={"rows": [{}]}).status_code == 404
        # The shadow is asked behind the answers.
        until(
            lambda: (
                'kept_predictions_total{endpoint="late",role="shadow",version="2"} 2.0' in client.get("/metrics").text
            )
        )
    service.stop()
    (workspace.root / "spool").parent.mkdir(exist_ok=True)
    (service.root / "spool").rename(workspace.root / "spool")
    shipped = ship(workspace)
    assert (shipped.rows, shipped.errors, shipped.by_endpoint) == (6, 1, {"late": 4, "hours": 1, "kinds": 1})
    assert shipped.event_times["late"] == datetime(2013, 4, 1, 12, 30, 0, 500_000, UTC)
    assert ship(workspace) == Shipped()

    table = workspace.tables.read("predictions/late").sort("position", "id").collect()
    champion, shadow = table.filter(role="champion"), table.filter(role="shadow")
    assert champion["id"].to_list() == [one["id"] for one in late]
    assert champion["score"].to_list() == [one["probability"] for one in late]
    assert champion["prediction"].to_list() == ["true" if one["prediction"] else "false" for one in late]
    assert champion["key"].to_list() == ["a", "2"]
    assert champion["event_time"].to_list() == [
        datetime(2013, 4, 1, 12, tzinfo=UTC),
        datetime(2013, 4, 1, 12, 30, 0, 500_000, UTC),
    ]
    assert champion["feature_carrier"].to_list() == ["AA", None]
    assert champion["feature_hour"].to_list() == [8, 7]
    assert champion["feature_express"].to_list() == [True, True]
    assert champion.schema["feature_hour"] == pl.Int64
    assert champion["version_id"].unique().to_list() == ["v-first"]
    assert (champion["latency_us"] > 0).all()
    assert shadow["answer_id"].to_list() == champion["id"].to_list()
    assert shadow["version"].unique().to_list() == [2]
    assert not set(shadow["id"]) & set(champion["id"])

    hour = workspace.tables.read("predictions/hours").collect()
    assert (hour["score"][0], hour["prediction"][0]) == (hours[0]["prediction"], None)
    assert hour["event_time"][0] == hour["received_at"][0]
    kind = workspace.tables.read("predictions/kinds").collect()
    assert kind["prediction"][0] == kinds[0]["prediction"]
    assert kind["scores"][0].to_list() == [*kinds[0]["probabilities"].values()]
    [error] = workspace.tables.read("prediction_errors/late").collect().to_dicts()
    assert (error["status"], error["version_id"], error["role"]) == (400, "v-first", "champion")
    assert "'distance' is missing" in error["reason"]


def test_a_feature_that_changes_its_type_keeps_its_old_column(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    shipper = shipper_of(tmp_path)
    for number, (kind, value) in enumerate([("number", 1.5), ("integer", 2), ("text", "three"), ("boolean", True)]):
        changed = msgspec.structs.replace(note(), key=f"late/{number}", kinds=("number", kind))
        batch = answered((1.0, value), start=number)
        batch.arm = changed.key
        spool.write([(changed, batch)])
        assert shipper.ship().rows == 1
    table = predictions(tmp_path)
    assert table["feature_b"].to_list() == [1.5, 2.0, None, None]
    assert table["feature_b__text"].to_list() == [None, None, "three", None]
    assert table["feature_b__boolean"].to_list() == [None, None, None, True]
    spool.close()


def test_a_torn_end_is_set_aside(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.write([(note(), answered((1.0, "x")))])
    spool.close()
    [path] = spool.folder.glob("*.log")
    with path.open("ab") as stream:
        stream.write(b"half a frame")
    assert shipper_of(tmp_path).ship().rows == 1
    assert shipper_of(tmp_path).ship().rows == 0
    assert [left.suffix for left in spool.folder.iterdir()] == [".torn"]


def test_a_full_disk_holds_shipping_up_and_loses_nothing(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path; from kept.core.clock import SystemClock;"
        "from kept.serving.shipping import Shipper; from kept.store.tables import DeltaTables;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); root = Path(sys.argv[1]);"
        "shipper = Shipper(root / 'spool', DeltaTables(root / 'tables'), SystemClock());"
        "full = lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))\n"
        "for size in (10, 500, 4_000, resource.RLIM_INFINITY):\n"
        "    full(size)\n"
        "    try: print(shipper.ship().rows)\n"
        "    except Exception as error: print(type(error).__name__)"
    )
    spool = Spool(tmp_path / "spool")
    for start in range(5):
        spool.write([(note(), answered((1.0, "x" * 500), start=start))])
    spool.close()
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=540)
    *refused, rows = done.stdout.split()
    assert (len(refused), rows) == (3, "5")
    assert sorted(predictions(tmp_path)["id"]) == [f"late-{start}" for start in range(5)]
    assert not spool.folder.exists()


def flip(data: bytearray) -> None:
    """A bit rots within a payload."""
    data[len(data) // 2] ^= 0x40


def blank(data: bytearray) -> None:
    """A sector is lost, with the head of a frame in it."""
    data[600:1100] = bytes(500)


def shrink(data: bytearray) -> None:
    """Bytes are missing: what stands behind has another place."""
    del data[700:707]


def behead(data: bytearray) -> None:
    """The note that says what the predictions mean is torn."""
    data[40] ^= 1


@pytest.mark.parametrize(("harm", "least"), [(flip, 18), (blank, 10), (shrink, 17), (behead, 0)])
def test_what_stands_behind_torn_bytes_is_shipped(
    tmp_path: Path, harm: Callable[[bytearray], None], least: int
) -> None:
    spool = Spool(tmp_path / "spool", segment_bytes=1_900)
    for start in range(30):
        spool.write([(note(), answered((1.0, "x"), start=start))])
    first, *others = sorted(spool.folder.iterdir())
    assert others
    data = bytearray(first.read_bytes())
    within = sum(len(one.ids) for _, found in frames(first, 0) for one in found if isinstance(one, Answered))
    harm(data)
    first.write_bytes(data)
    shipper = shipper_of(tmp_path)
    shipper.ship()
    spool.close()
    shipper.ship()
    assert shipper_of(tmp_path).ship().rows == 0
    found = predictions(tmp_path)
    assert found["id"].is_unique().all()
    assert 30 - within + least <= found.height < 30
    assert [left.suffix for left in spool.folder.iterdir()] == [".torn"]


def test_many_small_appends_are_compacted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kept.serving.compaction._FEW_FILES", 4)
    spool = Spool(tmp_path / "spool")
    shipper = shipper_of(tmp_path)
    for turn in range(30):
        spool.write([(note(), answered((1.0, "x"), start=turn))])
        shipper.ship()
    tables = DeltaTables(tmp_path / "tables")
    assert sorted(predictions(tmp_path)["id"]) == sorted(f"late-{turn}" for turn in range(30))
    assert tables.last("predictions/late", f"spool/{spool.folder.name}/late") is not None
    # Each append makes a version; each compaction one more.
    compactions = (tables.version("predictions/late") or 0) + 1 - 30
    assert 2 <= compactions <= 30 // 4
    spool.close()


def test_a_full_disk_answers_503_and_recovers(service: Service) -> None:
    service.start()
    with httpx.Client(base_url=service.url) as client:
        assert client.post("/predict/late", json={"rows": [ROW]}).status_code == 200
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        refused = client.post("/predict/late", json={"rows": [ROW]})
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert "the prediction log cannot be written" in refused.json()["error"]
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert client.post("/predict/late", json={"rows": [ROW]}).status_code == 200
    service.stop()
    assert shipper_of(service.root).ship().rows == 2


def test_features_whose_names_differ_by_case_alone_are_shipped_and_read_by_their_names(workspace: Workspace) -> None:
    spool = Spool(workspace.root / "spool")
    for version, names in (("v1", ("age", "b")), ("v2", ("Age", "AGE")), ("v3", ("AGE", "age"))):
        changed = msgspec.structs.replace(note(), key=version, version_id=version, names=names, kinds=("number",) * 2)
        batch = msgspec.structs.replace(answered((1.0, 2.0), start=int(version[1])), arm=version)
        spool.write([(changed, batch)])
        assert ship(workspace).rows == 1
    # Another kind of a feature that already has a column of its own.
    changed = msgspec.structs.replace(note(), key="v4", names=("Age", "b"), kinds=("text", "number"))
    spool.write([(changed, msgspec.structs.replace(answered(("old", 3.0), start=4), arm="v4"))])
    assert ship(workspace).rows == 1
    spool.close()
    rows = Stream(workspace, "late").rows()
    assert rows is not None
    found = features_of(rows.collect().sort("id"))
    assert found["age"].to_list() == [1.0, None, 2.0, None]
    assert found["AGE"].to_list() == [None, 2.0, 1.0, None]
    assert rows.collect().sort("id")["feature_Age__text"].to_list() == [None, None, None, "old"]
    assert found["b"].to_list() == [2.0, None, None, 3.0]


CASED = f"a__case{xxhash.xxh32_hexdigest(b'feature_a')}"


@pytest.mark.parametrize(
    ("names", "kinds", "row"),
    [
        (("x", "x__case01234567"), ("number", "number"), (1.0, 2.0)),
        (("A", "a", CASED), ("number",) * 3, (1.0, 2.0, 3.0)),
        (("a", "a__text"), ("text", "text"), ("one", "two")),
        (("a", "a__text", "a__text_2"), ("text",) * 3, ("one", "two", "three")),
    ],
)
def test_features_that_are_called_as_other_columns_would_be_hold_up_nothing(
    workspace: Workspace, names: tuple[str, ...], kinds: tuple[str, ...], row: tuple[object, ...]
) -> None:
    spool = Spool(workspace.root / "spool")
    before = msgspec.structs.replace(note(), key="v1", names=("a",), kinds=("integer",))
    spool.write([(before, msgspec.structs.replace(answered((7,), start=1), arm="v1"))])
    for version in ("v2", "v3"):
        changed = msgspec.structs.replace(note(), key=version, version_id=version, names=names, kinds=kinds)
        spool.write([(changed, msgspec.structs.replace(answered(row, start=int(version[1])), arm=version))])
        assert ship(workspace).rows == (2 if version == "v2" else 1)
    spool.close()
    rows = Stream(workspace, "late").rows()
    assert rows is not None
    found = rows.collect().sort("id")
    held = [
        {name: value for name, value in one.items() if name.startswith("feature_") and value is not None}
        for one in found.rows(named=True)
    ]
    # Nothing is lost, and each is where it was before.
    assert held[0] == {"feature_a": 7}
    assert set(held[1].values()) == set(row)
    assert held[1] == held[2]
    for name, value in zip(
        names[1:] if "text" in kinds else names[:1], row[1:] if "text" in kinds else row, strict=False
    ):
        assert held[1][f"feature_{name}"] == value


@pytest.mark.parametrize("what", ["folder", "link", "file", "text", "locked"])
def test_what_is_no_spool_holds_up_none(tmp_path: Path, what: str) -> None:
    first = Spool(tmp_path / "spool")
    first.write([(note(), answered((1.0, "x")))])
    first.close()
    foreign = tmp_path / "spool" / "0-not-ours"
    if what == "file":
        foreign.touch()
    else:
        foreign.mkdir()
        segment = foreign / f"{0:020}.log"
        match what:
            case "folder":
                segment.mkdir()
            case "link":
                segment.symlink_to("nowhere")
            case "text":
                segment.write_text("no segment")
            case _:
                segment.symlink_to("/proc/self/mem")
    shipper = shipper_of(tmp_path)
    for _ in range(2):
        with nullcontext() if what != "locked" else pytest.raises(OSError, match=r"\[Errno"):
            shipper.ship()
    assert predictions(tmp_path).height == 1


def test_what_was_taken_away_while_it_was_written_is_shipped_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", segment_bytes=100)
    spool.write([(note(), answered((1.0, "x")))])
    shutil.rmtree(tmp_path / "spool")
    for start in (1, 2):
        spool.write([(note(), answered((1.0, "x"), start=start))])
    assert is_live(spool.folder)
    spool.close()
    assert shipper_of(tmp_path).ship().rows == 3
    assert predictions(tmp_path)["id"].to_list() == ["late-0", "late-1", "late-2"]


@pytest.mark.parametrize("gone", ["removed", "moved"])
def test_what_was_shipped_of_a_segment_that_is_taken_away_is_not_shipped_again(tmp_path: Path, gone: str) -> None:
    spool = Spool(tmp_path / "spool")
    spool.write([(note(), answered((1.0, "x")))])
    assert shipper_of(tmp_path).ship().rows == 1
    spool.write([(note(), answered((2.0, "y"), start=1))])
    if gone == "removed":
        shutil.rmtree(spool.folder)
    else:
        spool.folder.rename(tmp_path / "elsewhere")
    spool.write([(note(), answered((3.0, "z"), start=2))])
    spool.close()
    if gone == "moved":
        (tmp_path / "elsewhere").rename(spool.folder)
    assert shipper_of(tmp_path).ship().rows == 2
    assert predictions(tmp_path)["id"].to_list() == ["late-0", "late-1", "late-2"]


def test_what_was_set_aside_takes_no_room_from_what_is_to_come(tmp_path: Path) -> None:
    spool = Spool(tmp_path, rules=LogRules(most_bytes=4_000), segment_bytes=100)
    spool.write([(note(), answered((1.0, "x")))])
    (spool.folder / "00000000000000009999.torn").write_bytes(bytes(10_000))
    for start in range(5):
        spool.write([(note(), answered((1.0, "x"), start=start))])
    spool.close()
