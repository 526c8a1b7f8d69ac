"""Models that are no ONNX run in processes of their own: what these do, or have done to them, is nobody else's trouble.

Such a process takes seconds to start, so tests share services, where each has endpoints of its own.
"""

import asyncio
import contextlib
import os
import random
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import msgspec
import numpy as np
import polars as pl
import pytest
from predicting import CLIENT, ROW, Packaged, Service, flights, make, until
from test_service_metrics import samples

from kept.core.clock import SystemClock
from kept.deployment.routing import Arm, Fallback
from kept.serving.runtime import LoadedModel
from kept.serving.shipping import Shipper
from kept.store.tables import DeltaTables
from kept.testing.jobs import alive
from otlp_receiver import Collector, collecting, facts

FEW = {"distance": 700.0, "wind": 4.5}


@pytest.fixture(scope="module")
def unexported(tmp_path_factory: pytest.TempPathFactory, packaged: dict[str, Packaged]) -> dict[str, Packaged]:
    root = tmp_path_factory.mktemp("unexported")
    made = {kind: make(root / kind, kind) for kind in ("bayes", "bayes again", "texts")}
    return {**made, "first": packaged["first"], "regression": packaged["regression"]}


class Shared:
    """A service that several tests use. When one has ended it, the next one starts it again.

    Args:
        root: its folder.
        made: bundles.
        settings: its settings.
        endpoints: what the first of the models answers; `quick` is one that needs no process, `texts` one that takes text.
    """

    def __init__(
        self, root: Path, made: dict[str, Packaged], endpoints: tuple[str, ...] = ("late",), **settings: str
    ) -> None:
        self.service = Service(root, made)
        self.service.settings = settings
        self._endpoints = endpoints

    def ready(self) -> Service:
        """The service, with the routes that it begins with."""
        revision = self.route()
        process = self.service.process
        if process is None or process.poll() is not None:
            # Its models need seconds where the machine has much to do.
            self.service.start()
        self.service.wait_for_revision(revision)
        until(lambda: CLIENT.get(f"{self.service.url}/v2/health/ready").status_code == 200)
        return self.service

    def route(self, **others: tuple[Arm, ...]) -> int:
        """Puts the routes in force that it begins with, but for some."""
        arm = self.service.arm
        routes = {name: (arm("texts" if name == "texts" else "bayes", 1),) for name in self._endpoints}
        return self.service.route(**routes | {"quick": (arm("first", 1),)} | others)

    def close(self) -> None:
        if self.service.process is not None and self.service.process.poll() is None:
            self.service.kill()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture(scope="module")
def patient(
    tmp_path_factory: pytest.TempPathFactory, unexported: dict[str, Packaged], collector: Collector
) -> Iterator[Shared]:
    """One that is told of requests, and never loses patience."""
    endpoints = ("answers", "texts", "bad", "killed", "behind", "deadline", "large", "timed", "shadowed", "ending")
    traces = {"traces_url": f"{collector.url}/", "traces_share": "0"}
    made = Shared(tmp_path_factory.mktemp("patient"), unexported, endpoints, python_seconds="60", **traces)
    yield made
    made.close()


@pytest.fixture(scope="module")
def switching(tmp_path_factory: pytest.TempPathFactory, unexported: dict[str, Packaged]) -> Iterator[Shared]:
    made = Shared(tmp_path_factory.mktemp("switching"), unexported, python_seconds="60")
    yield made
    made.close()


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory, unexported: dict[str, Packaged]) -> Iterator[Shared]:
    made = Shared(tmp_path_factory.mktemp("impatient"), unexported, python_seconds="3")
    yield made
    made.close()


@pytest.fixture(scope="module")
def doubled(tmp_path_factory: pytest.TempPathFactory, unexported: dict[str, Packaged]) -> Iterator[Shared]:
    made = Shared(tmp_path_factory.mktemp("doubled"), unexported, python_processes="2", python_seconds="3")
    yield made
    made.close()


def ask(
    service: Service, row: Mapping[str, object] = FEW, endpoint: str = "late", headers: Mapping[str, str] | None = None
) -> httpx.Response:
    url = f"{service.url}/predict/{endpoint}"
    return CLIENT.post(url, json={"rows": [row]}, headers=headers)


def asking(service: Service, count: int, endpoint: str) -> tuple[list[threading.Thread], list[httpx.Response]]:
    """Asks from threads, one after the other. When it returns the service has been given what was asked."""
    answers: list[httpx.Response] = []
    sent = threading.Semaphore(0)

    def told(event: str, _: object) -> None:
        if event == "http11.receive_response_headers.started":
            sent.release()

    def one() -> None:
        url = f"{service.url}/predict/{endpoint}"
        answers.append(CLIENT.post(url, json={"rows": [FEW]}, extensions={"trace": told}))

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
        assert sent.acquire(timeout=60)
        # One that comes later is answered: it is past the one before.
        assert ask(service, ROW, "quick").status_code == 200
    return threads, answers


def running(service: Service, kind: str) -> list[int]:
    """The processes of a model, oldest first."""
    bundle = service.digests[kind].encode()
    found = []
    for pid in service.children:
        with contextlib.suppress(OSError):
            if bundle in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def count(service: Service, *name: str) -> float:
    return samples(CLIENT.get(f"{service.url}/metrics").text)[name]


def logged(service: Service, endpoint: str, table: str = "predictions") -> pl.DataFrame:
    tables = DeltaTables(service.root / "tables")
    Shipper(service.root / "spool", tables, SystemClock()).ship()
    return tables.read(f"{table}/{endpoint}").collect()


class Load:
    """Clients that ask one after the other, each until it is told to stop."""

    def __init__(self, service: Service, clients: int, endpoint: str) -> None:
        self.answers: list[httpx.Response] = []
        self._service = service
        self._endpoint = endpoint
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._service.url, timeout=60) as client:
            while not self._stop.is_set():
                self.answers.append(client.post(f"/predict/{self._endpoint}", json={"rows": [FEW]}))
                # What it waits for needs the processor as well.
                time.sleep(0.002)

    def stop(self) -> Counter[int]:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return Counter(answer.status_code for answer in self.answers)


def test_they_answer_what_scikit_learn_answers(patient: Shared, unexported: dict[str, Packaged]) -> None:
    service = patient.ready()
    frame = flights(60)
    for endpoint, kind in (("answers", "bayes"), ("texts", "texts")):
        rows = frame.select(unexported[kind].columns)
        answer = CLIENT.post(f"{service.url}/predict/{endpoint}", json={"rows": rows.to_dicts()}).json()
        found = [one["probability"] for one in answer["predictions"]]
        np.testing.assert_allclose(found, unexported[kind].expected(rows), rtol=0, atol=1e-12)
    assert CLIENT.get(f"{service.url}/v2/models/answers").json()["platform"] == "kept_skops"
    assert count(service, "kept_model_processes") == len(service.children) == 2


def test_one_bad_row_spoils_no_other(patient: Shared) -> None:
    service = patient.ready()
    (child,) = running(service, "bayes")
    os.kill(child, signal.SIGSTOP)
    rows = [FEW, FEW | {"wind": None}, FEW, {"distance": 1.0}, FEW | {"wind": 1e200}]
    answers: dict[int, httpx.Response] = {}
    threads = [
        threading.Thread(target=lambda place=place, row=row: answers.update({place: ask(service, row, "bad")}))
        for place, row in enumerate(rows)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    os.kill(child, signal.SIGCONT)
    for thread in threads:
        thread.join()
    assert [answers[place].status_code for place in range(4)] == [200, 422, 200, 400]
    assert "the field 'wind' is missing or unknown" in answers[1].json()["error"]
    assert logged(service, "bad", "prediction_errors")["status"].sort().to_list()[:2] == [400, 422]


def test_a_process_that_is_killed_costs_what_it_was_asked_just_then(patient: Shared) -> None:
    service = patient.ready()
    load = Load(service, 8, "killed")
    chance = random.Random(4)
    for _ in range(2):
        enough = len(load.answers) + 20
        until(lambda enough=enough: len(load.answers) > enough)  # type: ignore[misc]
        time.sleep(chance.random() / 5)
        before = count(service, "kept_model_process_restarts_total")
        os.kill(running(service, "bayes")[0], signal.SIGKILL)
        until(lambda before=before: count(service, "kept_model_process_restarts_total") > before)  # type: ignore[misc]
        assert ask(service, ROW, "quick").status_code == 200
    assert ask(service, endpoint="killed").status_code == 200
    found = load.stop()
    assert set(found) <= {200, 503}
    # Of each batch at most one call of each client.
    assert found[503] <= 8 * 2
    assert found[200] > 20
    given = {answer.json()["predictions"][0]["id"] for answer in load.answers if answer.status_code == 200}
    assert given <= set(logged(service, "killed")["id"])
    assert logged(service, "killed", "prediction_errors").height == found[503]


def test_what_comes_behind_one_that_hangs_is_refused(patient: Shared) -> None:
    service = patient.ready()
    (child,) = running(service, "bayes")
    os.kill(child, signal.SIGSTOP)
    threads, answers = asking(service, 2, "behind")
    until(lambda: ask(service, endpoint="behind", headers={"x-request-timeout-ms": "200"}).status_code == 429)
    refused = [ask(service, endpoint="behind") for _ in range(3)]
    os.kill(child, signal.SIGCONT)
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in refused] == [429] * 3
    assert [answer.status_code for answer in answers] == [200] * 2
    assert logged(service, "behind").height == 2


def test_a_request_is_over_at_its_own_deadline_and_is_told_of_with_it(patient: Shared, collector: Collector) -> None:
    service = patient.ready()
    sampled = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    (child,) = running(service, "bayes")
    os.kill(child, signal.SIGSTOP)
    answer = ask(service, endpoint="deadline", headers={"x-request-timeout-ms": "300", **sampled})
    os.kill(child, signal.SIGCONT)
    assert answer.status_code == 503
    assert "its deadline of 300000 microseconds had passed before it was answered" in answer.json()["error"]
    assert answer.elapsed.total_seconds() > 0.25
    assert ask(service, endpoint="deadline", headers=sampled).status_code == 200
    spans = collector.wait(lambda found: len(found) >= 2, 60)
    told = {facts(one.attributes)["http.response.status_code"]: one for one in spans}
    assert set(told) == {200, 503}
    assert "its deadline" in told[503].status.message
    assert told[503].end_time_unix_nano - told[503].start_time_unix_nano > 250_000_000
    assert logged(service, "deadline").height == 1


def test_a_prediction_that_needs_too_much_memory_fails_alone(patient: Shared) -> None:
    service = patient.ready()
    assert ask(service, endpoint="large").status_code == 200
    (child,) = running(service, "bayes")
    status = Path(f"/proc/{child}/status").read_text().splitlines()
    has = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData"))
    before = resource.prlimit(child, resource.RLIMIT_DATA, (has + (8 << 20), -1))
    rows = [[1.0, 2.0]] * 400_000
    body = {"columns": ["distance", "wind"], "data": rows}
    answer = CLIENT.post(f"{service.url}/invocations/large", json={"dataframe_split": body})
    assert answer.status_code in {500, 503}, answer.text[:300]
    # Where the body itself was too large for it, the process has ended, and the next one must first be there.
    until(lambda: ask(service, endpoint="large").status_code == 200)
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(child, resource.RLIMIT_DATA, before)


def test_each_stage_is_timed(patient: Shared) -> None:
    service = patient.ready()
    for _ in range(40):
        assert ask(service, endpoint="timed").status_code == 200
    found = samples(CLIENT.get(f"{service.url}/metrics").text)
    labels = ("endpoint=timed", "role=champion")
    (timed,) = {
        found["kept_stage_seconds_count", *labels, f"stage={stage}", "version=1"]
        for stage in ("queue", "read", "model", "log", "answer")
    }
    # One batch in sixteen, whatever was asked before.
    assert timed in {2, 3}
    assert found["kept_requests_total", *labels, "status=200", "version=1"] == 40


def test_a_shadow_is_asked_in_a_process_that_gives_way(patient: Shared) -> None:
    service = patient.ready()
    arms = (service.arm("bayes", 1), service.arm("bayes again", 2, "shadow", 0.0))
    service.wait_for_revision(patient.route(shadowed=arms))
    (champion,), (shadow,) = running(service, "bayes"), running(service, "bayes again")
    niceness = [os.getpriority(os.PRIO_PROCESS, pid) for pid in (champion, shadow)]
    # At most 19, and these tests may give way themselves.
    assert niceness[1] == min(niceness[0] + 10, 19) > niceness[0]
    given = {ask(service, endpoint="shadowed").json()["predictions"][0]["id"] for _ in range(10)}
    metric = ("kept_predictions_total", "endpoint=shadowed", "role=shadow", "version=2")
    until(lambda: samples(CLIENT.get(f"{service.url}/metrics").text).get(metric) == 10)
    copies = logged(service, "shadowed").filter(pl.col("role") == "shadow")
    assert set(copies["answer_id"]) == given
    assert copies["version_id"].unique().to_list() == ["v-bayes again"]


def test_what_came_before_the_end_is_answered_by_what_loads_no_heavy_library(patient: Shared) -> None:
    service = patient.ready()
    children = service.children
    (child,) = running(service, "bayes")
    os.kill(child, signal.SIGSTOP)
    (thread,), answers = asking(service, 1, "ending")
    assert service.process is not None
    service.process.terminate()
    time.sleep(0.5)
    os.kill(child, signal.SIGCONT)
    thread.join()
    assert answers[0].status_code == 200
    # It says itself that it has loaded none.
    assert service.stop() == 0
    until(lambda: not any(map(alive, children)))


def test_what_waits_when_its_version_is_replaced_is_answered_by_it(switching: Shared) -> None:
    service = switching.ready()
    (child,) = running(service, "bayes")
    os.kill(child, signal.SIGSTOP)
    threads, answers = asking(service, 2, "late")
    service.wait_for_revision(switching.route(late=(service.arm("bayes again", 2),)))
    os.kill(child, signal.SIGCONT)
    for thread in threads:
        thread.join()
    assert [(answer.status_code, answer.json().get("version")) for answer in answers] == [(200, 1)] * 2
    until(lambda: not alive(child))
    assert ask(service).json()["version"] == 2


def test_versions_are_switched_under_load_without_a_failure(switching: Shared) -> None:
    service = switching.ready()
    load = Load(service, 4, "late")
    service.wait_for_revision(switching.route(late=(service.arm("bayes again", 2),)))
    until(lambda: len(service.children) == 1 and load.answers[-1].json()["version"] == 2)
    found = load.stop()
    assert set(found) == {200}
    assert {answer.json()["version"] for answer in load.answers} == {1, 2}
    assert count(service, "kept_model_processes") == 1


def test_processes_end_with_the_service_however_it_ends(switching: Shared) -> None:
    service = switching.service if switching.service.process is not None else switching.ready()
    children = service.children
    service.kill()
    until(lambda: not any(map(alive, children)))


def test_what_hangs_is_ended_and_holds_up_nobody_else(impatient: Shared) -> None:
    service = impatient.ready()
    (hanging,) = running(service, "bayes")
    os.kill(hanging, signal.SIGSTOP)
    (thread,), answers = asking(service, 1, "late")
    meanwhile = 0
    while thread.is_alive():
        assert ask(service, ROW, "quick").status_code == 200
        meanwhile += thread.is_alive()
    assert meanwhile > 1
    assert answers[0].status_code == 503
    assert "took longer than 3 s for a prediction" in answers[0].json()["error"]
    assert answers[0].elapsed.total_seconds() > 2.9
    assert answers[0].headers["retry-after"] == "1"
    assert ask(service).status_code == 200
    assert service.children != [hanging]


@pytest.mark.parametrize(("kind", "then"), [("first", signal.SIGCONT), ("bayes again", signal.SIGKILL)])
def test_another_version_answers_for_one_that_is_late_or_killed(
    impatient: Shared, kind: str, then: signal.Signals
) -> None:
    service = impatient.ready()
    endpoint = kind.replace(" ", "-")
    rule = Fallback(on=("error", "timeout"), timeout_ms=300.0)
    champion = msgspec.structs.replace(service.arm("bayes", 2), fallback=rule)
    service.wait_for_revision(impatient.route(**{endpoint: (champion, service.arm(kind, 1, "standby", 0.0))}))
    row = FEW | ROW

    def answered() -> tuple[int, str]:
        told = ask(service, row, endpoint).json()
        return told.get("version", 0), told.get("fallback", "")

    # On a busy machine the first ones may be late as they are.
    until(lambda: answered() == (2, ""))
    (hanging,) = running(service, "bayes")
    os.kill(hanging, signal.SIGSTOP)
    version, reason = answered()
    assert (version, reason.partition(":")[0]) == (1, "timeout")
    os.kill(hanging, then)
    until(lambda: answered() == (2, ""))
    assert alive(hanging) == (then is signal.SIGCONT)
    found = logged(service, endpoint)
    assert found.filter(pl.col("role") == "fallback")["version_id"].unique().to_list() == [f"v-{kind}"]
    assert 504 in logged(service, endpoint, "prediction_errors")["status"].to_list()


def test_a_model_that_never_comes_up_again_keeps_nobody_waiting(impatient: Shared) -> None:
    service = impatient.ready()
    assert ask(service).status_code == 200
    spoil(service)
    os.kill(running(service, "bayes")[0], signal.SIGKILL)
    until(lambda: "times without an answer" in ask(service).json().get("error", ""))
    assert ask(service).status_code == 503
    assert service.stop() == 0


def test_several_processes_stand_in_for_each_other(doubled: Shared) -> None:
    service = doubled.ready()
    hanging, _ = running(service, "bayes")
    os.kill(hanging, signal.SIGSTOP)
    # The one that hangs may be asked once.
    (thread,), _ = asking(service, 1, "late")
    found = [ask(service, headers={"x-request-timeout-ms": "30000"}).status_code for _ in range(20)]
    with contextlib.suppress(ProcessLookupError):  # it is ended where it hangs for longer than a prediction may take
        os.kill(hanging, signal.SIGCONT)
    thread.join()
    assert found.count(200) >= 19


def test_one_that_is_free_answers_while_another_does_not_come_up_again(doubled: Shared) -> None:
    service = doubled.ready()
    until(lambda: count(service, "kept_model_processes") == 2)
    both = running(service, "bayes")
    spoil(service)
    for child in both:
        os.kill(child, signal.SIGSTOP)
    assert "took longer than 3 s" in ask(service).json()["error"]
    until(lambda: sum(map(alive, both)) == 1)
    os.kill(next(filter(alive, both)), signal.SIGCONT)
    assert ask(service, headers={"x-request-timeout-ms": "30000"}).status_code == 200


def spoil(service: Service) -> None:
    """Has the models that it keeps for starting them again be none."""
    for model in (service.root / "serving" / "bundles").glob("*/model.skops"):
        model.write_bytes(b"no model")


def test_one_without_memory_is_refused_and_the_others_are_served(
    tmp_path: Path, unexported: dict[str, Packaged]
) -> None:
    alone = Shared(tmp_path, unexported, python_megabytes="40")
    alone.route()
    service = alone.service.start()
    try:
        until(lambda: "its version could not be loaded" in ask(service).json()["error"])
        assert ask(service).status_code == 503
        assert ask(service, ROW, "quick").status_code == 200
    finally:
        alone.close()


def test_who_asks_a_pool_that_was_closed_before_is_told(unexported: dict[str, Packaged]) -> None:
    model = LoadedModel(unexported["bayes"].folder)
    pool = model.pool
    assert pool is not None
    pool.close()

    async def attached() -> str:
        pool.attach(lambda: None)
        return str(pool.trouble)

    assert "taken out of service" in asyncio.run(attached())
