"""Models that are no ONNX run in processes of their own: what these do, or have done to them, is nobody else's trouble."""

import asyncio
import os
import random
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import msgspec
import numpy as np
import polars as pl
import pytest
from predicting import ROW, Packaged, Service, flights, make
from test_service_metrics import samples

from kept.core.clock import SystemClock
from kept.deployment.routing import Fallback
from kept.serving.runtime import LoadedModel
from kept.serving.shipping import Shipper
from kept.store.tables import DeltaTables
from kept.testing.jobs import alive
from otlp_receiver import collecting, facts

FEW = {"distance": 700.0, "wind": 4.5}


@pytest.fixture(scope="module")
def unexported(tmp_path_factory: pytest.TempPathFactory, packaged: dict[str, Packaged]) -> dict[str, Packaged]:
    root = tmp_path_factory.mktemp("unexported")
    made = {kind: make(root / kind, kind) for kind in ("bayes", "bayes again", "texts")}
    return {**made, "first": packaged["first"], "regression": packaged["regression"]}


@pytest.fixture
def service(tmp_path: Path, unexported: dict[str, Packaged]) -> Iterator[Service]:
    made = Service(tmp_path, unexported)
    made.route(late=(made.arm("bayes", 1),), quick=(made.arm("first", 1),))
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


def ask(
    service: Service, row: Mapping[str, object] = FEW, endpoint: str = "late", headers: Mapping[str, str] | None = None
) -> httpx.Response:
    url = f"{service.url}/predict/{endpoint}"
    return httpx.post(url, json={"rows": [row]}, headers=headers, timeout=60)


def started(service: Service) -> None:
    """Starts it, and waits for its models, which need seconds where the machine has much to do."""
    service.start()
    until(lambda: httpx.get(f"{service.url}/v2/health/ready", timeout=60).status_code == 200)


def until(what: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def count(service: Service, name: str) -> float:
    return samples(httpx.get(f"{service.url}/metrics", timeout=60).text)[name,]


def logged(service: Service, table: str = "predictions", endpoint: str = "late") -> pl.DataFrame:
    tables = DeltaTables(service.root / "tables")
    Shipper(service.root / "spool", tables, SystemClock()).ship()
    return tables.read(f"{table}/{endpoint}").collect()


class Load:
    """Clients that ask one after the other, each until it is told to stop."""

    def __init__(self, service: Service, clients: int) -> None:
        self.answers: list[httpx.Response] = []
        self._service = service
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._service.url, timeout=60) as client:
            while not self._stop.is_set():
                self.answers.append(client.post("/predict/late", json={"rows": [FEW]}))

    def stop(self) -> Counter[int]:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return Counter(answer.status_code for answer in self.answers)


def test_they_answer_what_scikit_learn_answers_which_the_service_never_loads(
    service: Service, unexported: dict[str, Packaged]
) -> None:
    service.route(late=(service.arm("bayes", 1),), texts=(service.arm("texts", 2),))
    started(service)
    frame = flights(60)
    for endpoint, kind in (("late", "bayes"), ("texts", "texts")):
        rows = frame.select(unexported[kind].columns)
        answer = httpx.post(f"{service.url}/predict/{endpoint}", json={"rows": rows.to_dicts()}, timeout=60).json()
        found = [one["probability"] for one in answer["predictions"]]
        np.testing.assert_allclose(found, unexported[kind].expected(rows), rtol=0, atol=1e-12)
    assert httpx.get(f"{service.url}/v2/models/late").json()["platform"] == "kept_skops"
    assert count(service, "kept_model_processes") == len(service.children) == 2
    children = service.children
    # It says itself that it has loaded none of the heavy libraries.
    assert service.stop() == 0
    until(lambda: not any(map(alive, children)))


def test_one_bad_row_spoils_no_other(service: Service) -> None:
    started(service)
    os.kill(service.children[0], signal.SIGSTOP)
    rows = [FEW, FEW | {"wind": None}, FEW, {"distance": 1.0}, FEW | {"wind": 1e200}]
    answers: dict[int, httpx.Response] = {}
    threads = [
        threading.Thread(target=lambda place=place, row=row: answers.update({place: ask(service, row)}))
        for place, row in enumerate(rows)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    os.kill(service.children[0], signal.SIGCONT)
    for thread in threads:
        thread.join()
    assert [answers[place].status_code for place in range(4)] == [200, 422, 200, 400]
    assert "the field 'wind' is missing or unknown" in answers[1].json()["error"]
    assert logged(service, "prediction_errors")["status"].sort().to_list()[:2] == [400, 422]


def test_a_process_that_is_killed_costs_what_it_was_asked_just_then(service: Service) -> None:
    started(service)
    load = Load(service, 8)
    killed = 0
    chance = random.Random(4)
    for _ in range(3):
        time.sleep(0.5 + chance.random() / 5)
        before = count(service, "kept_model_process_restarts_total")
        os.kill(service.children[0], signal.SIGKILL)
        killed += 1
        until(lambda before=before: count(service, "kept_model_process_restarts_total") > before)  # type: ignore[misc]
        assert ask(service, ROW, "quick").status_code == 200
    time.sleep(0.3)
    found = load.stop()
    assert set(found) <= {200, 503}
    # Of each batch at most one call of each client.
    assert found[503] <= 8 * killed
    assert found[200] > 20
    given = {answer.json()["predictions"][0]["id"] for answer in load.answers if answer.status_code == 200}
    assert service.stop() == 0
    assert given <= set(logged(service)["id"])
    assert logged(service, "prediction_errors").height == found[503]


def test_what_hangs_is_ended_and_holds_up_nobody_else(service: Service) -> None:
    service.settings = {"python_seconds": "4"}
    started(service)
    hanging = service.children[0]
    os.kill(hanging, signal.SIGSTOP)
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(ask(service)))
    began = time.monotonic()
    asking.start()
    for _ in range(10):
        assert ask(service, ROW, "quick").elapsed.total_seconds() < 3
    asking.join()
    assert 3.9 < time.monotonic() - began < 30
    assert answers[0].status_code == 503
    assert "took longer than 4 s for a prediction" in answers[0].json()["error"]
    assert answers[0].headers["retry-after"] == "1"
    assert ask(service).status_code == 200
    assert service.children != [hanging]


def test_what_comes_behind_one_that_hangs_is_refused(service: Service) -> None:
    service.settings = {"python_seconds": "3"}
    started(service)
    os.kill(service.children[0], signal.SIGSTOP)
    load = Load(service, 3)
    time.sleep(0.8)
    refused = [ask(service) for _ in range(3)]
    os.kill(service.children[0], signal.SIGCONT)
    time.sleep(0.2)
    found = load.stop()
    assert [answer.status_code for answer in refused] == [429] * 3
    assert set(found) == {200}
    assert logged(service).height == found[200]


def test_a_request_is_over_at_its_own_deadline_and_is_told_of_with_it(service: Service) -> None:
    with collecting() as collector:
        service.settings = {"traces_url": f"{collector.url}/", "traces_share": "1"}
        started(service)
        os.kill(service.children[0], signal.SIGSTOP)
        answer = ask(service, headers={"x-request-timeout-ms": "300"})
        assert answer.status_code == 503
        assert "its deadline of 300000 microseconds had passed before it was answered" in answer.json()["error"]
        assert answer.elapsed.total_seconds() > 0.25
        os.kill(service.children[0], signal.SIGCONT)
        assert ask(service).status_code == 200
        spans = collector.wait(lambda found: len(found) >= 2)
    told = {facts(one.attributes)["http.response.status_code"]: one for one in spans}
    assert set(told) == {200, 503}
    assert "its deadline" in told[503].status.message
    assert told[503].end_time_unix_nano - told[503].start_time_unix_nano > 250_000_000
    assert logged(service).height == 1


def test_several_processes_stand_in_for_each_other(service: Service) -> None:
    service.settings = {"python_processes": "2", "python_seconds": "60"}
    started(service)
    assert len(service.children) == 2
    os.kill(service.children[0], signal.SIGSTOP)
    # The one that hangs may be asked once.
    hanging = threading.Thread(target=lambda: ask(service))
    hanging.start()
    time.sleep(0.2)
    found = [ask(service, headers={"x-request-timeout-ms": "9000"}).status_code for _ in range(20)]
    os.kill(service.children[0], signal.SIGCONT)
    hanging.join()
    assert found.count(200) >= 19


def test_one_that_is_free_answers_while_another_does_not_come_up_again(service: Service) -> None:
    service.settings = {"python_processes": "2", "python_seconds": "2"}
    started(service)
    model = next((service.root / "serving" / "bundles").glob("*/model.skops"))
    model.write_bytes(b"no model")
    for child in service.children:
        os.kill(child, signal.SIGSTOP)
    assert "took longer than 2 s" in ask(service).json()["error"]
    until(lambda: len(service.children) == 1)
    os.kill(service.children[0], signal.SIGCONT)
    assert ask(service, headers={"x-request-timeout-ms": "9000"}).status_code == 200


def test_what_waits_when_its_version_is_replaced_is_answered_by_it(service: Service) -> None:
    service.settings = {"python_seconds": "60"}
    started(service)
    child = service.children[0]
    os.kill(child, signal.SIGSTOP)
    answers: list[httpx.Response] = []
    asking = [threading.Thread(target=lambda: answers.append(ask(service))) for _ in range(2)]
    for thread in asking:
        thread.start()
        time.sleep(0.1)
    service.wait_for_revision(service.route(late=(service.arm("bayes again", 2),), quick=(service.arm("first", 1),)))
    os.kill(child, signal.SIGCONT)
    for thread in asking:
        thread.join()
    assert [(answer.status_code, answer.json().get("version")) for answer in answers] == [(200, 1)] * 2
    until(lambda: not alive(child))
    assert ask(service).json()["version"] == 2


def test_who_asks_a_pool_that_was_closed_before_is_told(unexported: dict[str, Packaged]) -> None:
    model = LoadedModel(unexported["bayes"].folder)
    pool = model.pool
    assert pool is not None
    pool.close()

    async def attached() -> str:
        pool.attach(lambda: None)
        return str(pool.trouble)

    assert "taken out of service" in asyncio.run(attached())


def test_processes_end_with_the_service_however_it_ends(service: Service) -> None:
    started(service)
    children = service.children
    service.kill()
    until(lambda: not any(map(alive, children)))


def test_what_came_before_the_end_is_answered(service: Service) -> None:
    started(service)
    child = service.children[0]
    os.kill(child, signal.SIGSTOP)
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(ask(service)))
    asking.start()
    time.sleep(0.2)
    assert service.process is not None
    service.process.terminate()
    time.sleep(0.7)
    os.kill(child, signal.SIGCONT)
    asking.join()
    assert answers[0].status_code == 200
    assert service.stop() == 0


def test_versions_are_switched_under_load_without_a_failure(service: Service) -> None:
    started(service)
    load = Load(service, 4)
    for kind, number in (("bayes again", 2), ("first", 3), ("bayes", 1)):
        if kind == "first":
            # Another model altogether: what the clients send does not fit it.
            continue
        service.wait_for_revision(service.route(late=(service.arm(kind, number),), quick=(service.arm("first", 1),)))
        until(lambda: len(service.children) == 1)
        time.sleep(0.2)
    found = load.stop()
    assert set(found) == {200}
    assert {answer.json()["version"] for answer in load.answers} == {1, 2}
    assert count(service, "kept_model_processes") == 1


def test_one_without_memory_is_refused_and_the_others_are_served(service: Service) -> None:
    service.settings = {"python_megabytes": "40"}
    started(service)
    answer = ask(service)
    assert answer.status_code == 503
    assert "its version could not be loaded" in answer.json()["error"]
    assert ask(service, ROW, "quick").status_code == 200


def test_a_prediction_that_needs_too_much_memory_fails_alone(service: Service) -> None:
    started(service)
    assert ask(service).status_code == 200
    (child,) = service.children
    status = Path(f"/proc/{child}/status").read_text().splitlines()
    has = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData"))
    resource.prlimit(child, resource.RLIMIT_DATA, (has + (8 << 20), -1))
    rows = [[1.0, 2.0]] * 400_000
    body = {"columns": ["distance", "wind"], "data": rows}
    answer = httpx.post(f"{service.url}/invocations/late", json={"dataframe_split": body}, timeout=60)
    assert answer.status_code in {500, 503}, answer.text[:300]
    assert ask(service).status_code == 200


def test_a_model_that_never_comes_up_again_keeps_nobody_waiting(service: Service) -> None:
    started(service)
    assert ask(service).status_code == 200
    model = next((service.root / "serving" / "bundles").glob("*/model.skops"))
    model.write_bytes(b"no model")
    os.kill(service.children[0], signal.SIGKILL)
    until(lambda: ask(service).elapsed.total_seconds() < 0.2)
    answer = ask(service)
    assert answer.status_code == 503
    assert "times without an answer" in answer.json()["error"]
    assert service.stop() == 0


@pytest.mark.parametrize("kind", ["first", "bayes again"])
def test_another_version_answers_for_one_that_is_killed_or_late(service: Service, kind: str) -> None:
    rule = Fallback(on=("error", "timeout"), timeout_ms=300.0)
    row = FEW | ROW
    service.settings = {"python_seconds": "10"}
    standby = service.arm(kind, 1, "standby", 0.0)
    champion = msgspec.structs.replace(service.arm("bayes", 2), fallback=rule)
    service.route(late=(champion, standby))
    started(service)
    plain = ask(service, row).json()
    assert ("fallback" in plain, plain["version"]) == (False, 2)
    # Asked in the order in which they were started.
    hanging = min(
        service.children, key=lambda pid: champion.bundle.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    os.kill(hanging, signal.SIGSTOP)
    late = ask(service, row)
    assert (late.status_code, late.json()["version"]) == (200, 1)
    assert late.json()["fallback"].startswith("timeout: it had waited ")
    assert 0.25 < late.elapsed.total_seconds() < 5
    until(lambda: not alive(hanging))
    until(lambda: "fallback" not in ask(service, row).json())
    found = logged(service)
    assert found.filter(pl.col("role") == "fallback")["version_id"].unique().to_list() == [f"v-{kind}"]
    assert 504 in logged(service, "prediction_errors")["status"].to_list()


def test_a_shadow_is_asked_in_a_process_that_gives_way(service: Service) -> None:
    service.route(late=(service.arm("bayes", 1), service.arm("bayes again", 2, "shadow", 0.0)))
    started(service)
    niceness = sorted(os.getpriority(os.PRIO_PROCESS, pid) for pid in service.children)
    # At most 19, and these tests may give way themselves.
    assert niceness[1] == min(niceness[0] + 10, 19) > niceness[0]
    given = {ask(service).json()["predictions"][0]["id"] for _ in range(10)}
    labels = ("endpoint=late", "role=shadow", "version=2")
    metric = ("kept_predictions_total", *labels)
    until(lambda: samples(httpx.get(f"{service.url}/metrics", timeout=60).text).get(metric) == 10)
    copies = logged(service).filter(pl.col("role") == "shadow")
    assert set(copies["answer_id"]) == given
    assert copies["version_id"].unique().to_list() == ["v-bayes again"]


def test_each_stage_is_timed(service: Service) -> None:
    started(service)
    for _ in range(40):
        assert ask(service).status_code == 200
    found = samples(httpx.get(f"{service.url}/metrics", timeout=60).text)
    labels = ("endpoint=late", "role=champion")
    timed = {
        found["kept_stage_seconds_count", *labels, f"stage={stage}", "version=1"]
        for stage in ("queue", "read", "model", "log", "answer")
    }
    assert timed == {3}
    assert found["kept_requests_total", *labels, "status=200", "version=1"] == 40
