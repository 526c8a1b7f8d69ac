"""What finding runs, reading a history and moving a file cost."""

import hashlib
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import xxhash
from servers import Server
from wire import LONGEST, Api

_ENOUGH = 5.0
_PIECE = 1 << 20

SEARCHES: dict[str, dict[str, Any]] = {
    "search_runs by metric, ordered by metric, first 100": {
        "filter": "metrics.loss < 0.5", "order_by": ["metrics.loss ASC"], "max_results": 100,
    },
    "search_runs by param LIKE, first 100": {
        "filter": "params.note LIKE '%trial 37 on%'", "order_by": ["attributes.start_time DESC"], "max_results": 100,
    },
    "search_runs by tag and status, first 100": {
        "filter": "tags.team = 'red' AND attributes.status = 'FAILED'",
        "order_by": ["attributes.start_time DESC"], "max_results": 100,
    },
    "search_runs, newest 1,000": {"order_by": ["attributes.start_time DESC"], "max_results": 1_000},
}  # fmt: skip
FIRST_PAGE: dict[str, Any] = {"order_by": ["attributes.start_time DESC"], "max_results": 100}


def often(ask: Callable[[], Any], most: int = 5) -> tuple[float, Any]:
    """The median milliseconds of some calls after a first, fewer when they take long; and the last answer."""
    begun = time.perf_counter()
    answer = ask()
    taken = [time.perf_counter() - begun]
    while len(taken) <= most and sum(taken) < _ENOUGH:
        begun = time.perf_counter()
        answer = ask()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[1:] or taken) * 1e3, answer


def search(api: Api, experiment: str, asked: dict[str, Any], most: int = 7) -> tuple[float, list[Any] | None]:
    """Milliseconds of a search, and the names of its runs with what was logged to them.

    The longest that is waited, and None, when it is not answered in that time.
    """
    try:
        took, answer = often(lambda: api.post("runs/search", {"experiment_ids": [experiment], **asked}), most)
    except httpx.ReadTimeout:
        return LONGEST * 1e3, None
    return took, [_told(run) for run in answer.get("runs", [])]


def read_history(api: Api, run: str) -> tuple[float, list[tuple[int, int, float]]]:
    """Seconds to read all points of a metric, and the points."""
    took, points = often(lambda: api.history(run, "loss"), 3)
    return took / 1e3, points


def move_file(server: Server, api: Api, path: str, size: int) -> tuple[float, float, float, bool]:
    """MB a second up and down, MB by which the server grew meanwhile, and whether the file came back as it went."""
    sent = hashlib.sha256()
    for piece in _pieces(size):
        sent.update(piece)
    quick = xxhash.xxh3_128()
    with server.growth() as grown:
        begun = time.perf_counter()
        api.put_file(path, _pieces(size))
        up = time.perf_counter() - begun
        begun = time.perf_counter()
        api.get_file(path, quick.update)
        down = time.perf_counter() - begun
    back = hashlib.sha256()
    api.get_file(path, back.update)
    return size / 1e6 / up, size / 1e6 / down, grown[0], back.digest() == sent.digest()


def _pieces(size: int) -> Iterator[bytes]:
    """The same bytes every time, no two pieces alike."""
    block = hashlib.shake_256(b"kept").digest(_PIECE)
    for number in range(size // _PIECE):
        yield number.to_bytes(8, "big") + block[8:]


def _told(run: dict[str, Any]) -> tuple[str, ...]:
    data = run["data"]
    return (
        run["info"]["run_name"],
        run["info"]["status"],
        *(
            f"{kind} {one['key']}={one['value']}"
            for kind in ("metrics", "params", "tags")
            for one in sorted(data.get(kind, []), key=lambda one: one["key"])
        ),
    )
