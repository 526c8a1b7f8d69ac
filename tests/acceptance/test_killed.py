"""kill -9 of each process of `kept up`, under load: what was acknowledged is there, once, and it goes on by itself."""

import itertools
import os
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass

import httpx
import polars as pl
import pytest
import trains
from living import ENDPOINT, PATIENCE, House, Load, children, load, until

from kept.app.connection import Embedded
from kept.data.catalog import ListData, list_data
from kept.data.labels import history
from kept.deployment.catalog import ShowStatus, show_status
from kept.deployment.endpoint import EndpointStatus
from kept.deployment.release import ReleaseVersion, release
from kept.deployment.rollback import RollBack, roll_back
from kept.governance.journal import ListAudit, VerifyAudit, list_audit, verify_audit
from kept.loop.decisions import RetrainNow, retrain
from kept.pipelines.catalog import ListSteps, list_steps
from kept.pipelines.run_step import StepStatus
from kept.registry.catalog import ListVersions, list_versions
from kept.testing.jobs import alive
from kept.tracking.run import Run, RunStatus
from kept.tracking.runs import ShowRun, show_run

ROWS = trains.day(trains.OPENING)


@dataclass
class Survived:
    """A run whose worker was killed again and again, and the predictions that were asked for meanwhile."""

    run: Run
    versions: int
    """How many versions there were before."""
    load: Load


@pytest.fixture(scope="module")
def survived(house: House) -> Survived:
    connection = house.connection
    versions = len(connection.call(list_versions, ListVersions()))
    run = connection.call(retrain, RetrainNow(project=ENDPOINT, reason="to be killed", fresh=True)).run_id or ""
    with load(house, ROWS, pause=0.05) as sent:
        for step in ("ingest", "tune", "evaluate"):
            until(lambda step=step: reached(connection, run, step), every=0.01)  # type: ignore[misc]
            started = children(house.pid("work"))
            house.kill("work")
            until(lambda started=started: not any(map(alive, started)))  # type: ignore[misc]
        until(lambda: connection.call(show_run, ShowRun(run=run)).run.status.ended)
    return Survived(run=connection.call(show_run, ShowRun(run=run)).run, versions=versions, load=sent)


def reached(connection: Embedded, run: str, step: str) -> bool:
    """Whether a step runs now, or is over."""
    return any(
        one.step == step and one.status is not StepStatus.WAITING
        for one in connection.call(list_steps, ListSteps(run=run))
    )


def test_a_pipeline_goes_on_by_itself_whenever_the_worker_is_killed(survived: Survived) -> None:
    assert survived.run.status is RunStatus.FINISHED


def test_a_killed_pipeline_does_nothing_twice(house: House, survived: Survived) -> None:
    made = house.connection.call(list_versions, ListVersions())
    assert [one.run_id for one in made].count(survived.run.id) == 1
    assert len(made) == survived.versions + 1
    registered = house.connection.call(list_audit, ListAudit(action="registry.register", limit=100))
    assert len(registered) == len(made)
    ingested = house.connection.call(list_data, ListData())
    assert [one.run_id for one in ingested].count(survived.run.id) == 1
    house.connection.call(verify_audit, VerifyAudit())


def test_no_prediction_fails_while_the_worker_is_killed_and_comes_back(house: House, survived: Survived) -> None:
    assert survived.load.failed == []
    assert len(survived.load.answered) > 100
    assert house.shipped(survived.load.answered)["id"].is_unique().all()


def test_no_prediction_fails_while_a_canary_comes_and_goes(house: House, survived: Survived) -> None:
    served = []
    with load(house, ROWS) as sent:
        try_it = ReleaseVersion(endpoint=ENDPOINT, model=ENDPOINT, reason="try it")
        served.append(switched(house, house.connection.call(release, try_it)))
        enough(sent, 50)
        served.append(switched(house, house.connection.call(roll_back, RollBack(endpoint=ENDPOINT, reason="enough"))))
        enough(sent, 50)
    assert served == [[1, 2], [1]]
    assert sent.failed == []
    logged = house.shipped(sent.answered).filter(pl.col("id").is_in(sent.answered))
    assert set(logged["version"]) == {1, 2}


def switched(house: House, status: EndpointStatus) -> list[int]:
    """The versions that serve now, once the prediction service knows."""
    assert status.route is not None
    revision = f"kept_routing_revision {float(status.route.revision)}"
    until(lambda: revision in house.http.get(f"{house.predictions}/metrics").text)
    return [arm.number for arm in status.route.arms]


def enough(sent: Load, more: int) -> None:
    """Waits for so many more requests."""
    goal = sent.count + more
    until(lambda: sent.count >= goal)


def test_an_answered_prediction_lands_once_though_the_service_is_killed(house: House) -> None:
    senders = 3
    with load(house, ROWS, senders=senders) as sent:
        for _ in range(3):
            enough(sent, 50)
            gone = house.kill("serve")
            until(lambda gone=gone: house.pid("serve") != gone and house.ready())  # type: ignore[misc]
        enough(sent, 50)
    logged = house.shipped(sent.answered)
    assert logged["id"].is_unique().all()
    assert len(sent.failed) < sent.count


def test_acknowledged_labels_are_all_there_though_the_web_server_is_killed(house: House) -> None:
    acknowledged: list[str] = []
    doubtful: list[str] = []
    stopping, numbers = threading.Event(), itertools.count()

    def send() -> None:
        with httpx.Client(timeout=PATIENCE) as http:
            while not stopping.is_set():
                name = f"killed-{next(numbers)}"
                try:
                    house.label(http, [{"key": f"{name}-{part}", "value": True} for part in "abc"])
                except httpx.HTTPError:
                    doubtful.append(name)
                    time.sleep(0.05)
                else:
                    acknowledged.append(name)

    threads = [threading.Thread(target=send, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        goal = len(acknowledged) + 20
        until(lambda goal=goal: len(acknowledged) >= goal)  # type: ignore[misc]
        gone = house.kill("web")
        until(lambda gone=gone: house.pid("web") != gone and house.ready())  # type: ignore[misc]
    stopping.set()
    for thread in threads:
        thread.join()
    found = Counter(history(house.connection.workspace, ENDPOINT).select("key").collect().to_series().to_list())
    assert acknowledged
    assert doubtful
    assert {found[f"{name}-{part}"] for name in acknowledged for part in "abc"} == {1}
    for name in doubtful:
        # All of a request or nothing.
        assert [found[f"{name}-{part}"] for part in "abc"] in ([0, 0, 0], [1, 1, 1])


def test_killed_as_a_whole_it_ends_and_goes_on_where_it_was(house: House) -> None:
    with httpx.Client() as http:
        before = house.predict(http, ROWS.head(5))
    route = status_of(house)
    processes = [house.pid(kind) for kind in ("web", "work", "serve")]
    assert house.process is not None
    os.kill(house.process.pid, signal.SIGKILL)
    house.process.wait()
    until(lambda: not any(map(alive, processes)))
    assert not house.answers(f"{house.predictions}/v2/health/live")
    house.up()
    assert status_of(house) == route
    with httpx.Client() as http:
        after = house.predict(http, ROWS.head(5))
    assert house.shipped(before + after)["id"].is_unique().all()
    house.connection.call(verify_audit, VerifyAudit())


def status_of(house: House) -> object:
    (found,) = house.connection.call(show_status, ShowStatus(endpoint=ENDPOINT))
    return found.route


def test_it_stops_cleanly_on_ctrl_c(house: House) -> None:
    processes = [house.pid(kind) for kind in ("web", "work", "serve")]
    assert house.stop() == 0
    assert not any(map(alive, processes))
