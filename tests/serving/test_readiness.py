"""What is loaded answers while other endpoints of the same table are still being loaded."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from predicting import ROW, Packaged, Service, make
from test_fallbacks import arm

from kept.core.errors import Damaged, Unavailable
from kept.deployment.routing import Arm, Route, RoutingTable
from kept.serving.counters import Counters
from kept.serving.local import FixedRoutes
from kept.serving.router import Router
from kept.serving.runtime import LoadedModel


class Turning(str):
    """A name that has something done the first time that it is looked up."""

    __slots__ = ("then",)
    then: Callable[[], Any] | None

    def __hash__(self) -> int:
        then, self.then = getattr(self, "then", None), None
        if then is not None:
            then()
        return super().__hash__()

    __eq__ = str.__eq__


NUMBERS = {"distance": 700.0, "wind": 9.0}


@pytest.fixture
def mixed(tmp_path: Path, packaged: dict[str, Packaged]) -> Iterator[Service]:
    bayes = make(tmp_path / "bayes", "bayes")
    made = Service(tmp_path / "service", {**packaged, "bayes": bayes})
    made.route(asked=(made.arm("bayes", 1),), quick=(made.arm("first", 1),))
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


def soon(found: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not found():
        assert time.monotonic() < end
        time.sleep(0.005)


def status(service: Service, path: str) -> int:
    return httpx.get(f"{service.url}{path}", timeout=60).status_code


def predict(service: Service, endpoint: str, row: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{service.url}/predict/{endpoint}", json={"rows": [row]}, timeout=60)


def starts_while_one_loads(service: Service) -> None:
    service.process, service.url = None, ""
    starting = threading.Thread(target=service.start)
    starting.start()
    soon(lambda: service.process is not None and bool(service.children))
    (child,) = service.children
    # Long before it has loaded the libraries that its model needs.
    os.kill(child, signal.SIGSTOP)
    soon(lambda: bool(service.url))
    assert predict(service, "quick", ROW).status_code == 200
    answer = predict(service, "asked", NUMBERS)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "is being loaded" in answer.text
    assert [status(service, f"/v2/health/{what}") for what in ("live", "ready")] == [200, 503]
    assert [status(service, f"/v2/models/{name}/ready") for name in ("quick", "asked")] == [200, 503]
    assert starting.is_alive()
    os.kill(child, signal.SIGCONT)
    starting.join(60)
    assert status(service, "/v2/health/ready") == 200
    assert predict(service, "asked", NUMBERS).status_code == 200


def test_endpoints_that_are_loaded_answer_at_once(mixed: Service) -> None:
    starts_while_one_loads(mixed)
    assert mixed.stop() == 0
    # From cold and alone, too.
    (mixed.root / "table.json").unlink()
    starts_while_one_loads(mixed)
    assert mixed.stop() == 0


def test_a_table_with_one_that_loads_slowly_holds_up_no_other_and_takes_nothing_away(mixed: Service) -> None:
    mixed.route(quick=(mixed.arm("first", 1),))
    mixed.start()
    mixed.route(asked=(mixed.arm("bayes", 1),), quick=(mixed.arm("second", 2),))
    soon(lambda: bool(mixed.children))
    (child,) = mixed.children
    os.kill(child, signal.SIGSTOP)
    soon(lambda: predict(mixed, "quick", ROW).json()["version"] == 2)
    assert "is being loaded" in predict(mixed, "asked", NUMBERS).text
    # Who has been ready stays in rotation.
    assert status(mixed, "/v2/health/ready") == 200
    os.kill(child, signal.SIGCONT)
    soon(lambda: predict(mixed, "asked", NUMBERS).status_code == 200)
    assert mixed.stop() == 0


def test_an_endpoint_that_comes_up_while_it_is_looked_for_is_never_said_not_to_be_there(
    packaged: dict[str, Packaged],
) -> None:
    folders = {"sha256:first": packaged["first"].folder}
    table = RoutingTable(revision=1, routes=(Route(endpoint="late", arms=(arm("first", 1),)),))
    router = Router(FixedRoutes(table, folders), Counters())
    router._load_model = broken  # type: ignore[method-assign, assignment]
    assert not router.apply(table)

    def come_up() -> None:
        router._load_model = lambda asked: LoadedModel(folders[asked.bundle])  # type: ignore[method-assign, assignment]
        assert router.apply(table)

    name = Turning("late")
    name.then = come_up
    with pytest.raises(Unavailable, match="could not be loaded"):
        router.find(name)
    assert router.find("late").route.endpoint == "late"


def broken(_: Arm) -> LoadedModel:
    raise Damaged("it cannot be read", where="bundle")
