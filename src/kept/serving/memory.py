"""Models that share a declared amount of memory: those not asked for longest are put out, and loaded again when they are asked for.

What is put out is what a model needs to answer; what it takes to read requests stays. Calls keep what they ask in memory until
they are answered, and routes with a version on trial or a shadow keep all of theirs, if need be beyond the declared amount.
"""

import contextlib
import ctypes
import resource
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable
from pathlib import Path

from kept.serving.counters import MemoryCounts
from kept.serving.runtime import LoadedModel, LoadedRoute

# What a model in ONNX Runtime takes: measured were 6 to 8 times its file, for trees, and 0.3 MB where there was next to no file.
_TIMES_ITS_FILE = 9
# Of networks, which are mostly weights, 2.1 to 2.2 times their file were measured.
_TIMES_A_NETWORK = 3
_AT_LEAST = 500_000
# `M_TRIM_THRESHOLD` and `M_MMAP_THRESHOLD` of glibc's malloc.h, and the value of both: what a turn of large requests takes,
# the next one finds there. To take it anew costs a fault for each page, which is a tenth of what 100 rows take.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _KEPT = -1, -3, 8 << 20
# So much more than at last is looked into.
_MUCH = 12 << 20


class Memory:
    """Which models are in memory. Any thread may ask.

    Args:
        most_bytes: what they may take together, as `reckoned` has it.
        counts: where it is counted.
    """

    def __init__(self, most_bytes: int, counts: MemoryCounts) -> None:
        self._most = most_bytes
        self._counts = counts
        self._lock = threading.Lock()
        # Those in memory; first the one that was not asked for longest.
        self._here: OrderedDict[LoadedModel, int] = OrderedDict()
        # What they take together.
        self._taken = 0
        self._asked: Counter[LoadedModel] = Counter()
        self._pinned: frozenset[LoadedModel] = frozenset()

    def put_in(self, model: LoadedModel) -> None:
        """Notes a model that was loaded, and puts others out for it."""
        with self._lock:
            self._taken -= self._here.pop(model, 0)
            self._here[model] = reckoned(model)
            self._taken += self._here[model]
            self._make_room()

    def settle(self, routes: Collection[LoadedRoute]) -> list[LoadedModel]:
        """Forgets all models but those of these routes. Those that are out and must not be."""
        served = {loaded.model for route in routes for loaded in route.arms}
        with self._lock:
            self._pinned = frozenset(pinned_by(routes))
            for model in [one for one in self._here if one not in served]:
                self._taken -= self._here.pop(model)
            self._make_room()
            return [model for model in self._pinned if model not in self._here]

    def take(self, models: Iterable[LoadedModel]) -> LoadedModel | None:
        """Keeps models in memory until they are given back, up to the first that is out, which is returned."""
        with self._lock:
            for model in models:
                if model not in self._here:
                    return model
                self._here.move_to_end(model)
                self._asked[model] += 1
        return None

    def give_back(self, models: Iterable[LoadedModel]) -> None:
        """A call that took them is answered."""
        with self._lock:
            for model in models:
                self._asked[model] -= 1
                if not self._asked[model]:
                    del self._asked[model]
            self._make_room()

    def _make_room(self) -> None:
        # The one that was asked for last stays, however large it is.
        for model in list(self._here)[:-1] if self._taken > self._most else ():
            if self._taken <= self._most:
                break
            if model not in self._pinned and model not in self._asked:
                self._taken -= self._here.pop(model)
                model.put_out()
                self._counts.evictions += 1
        self._counts.loaded, self._counts.bytes = len(self._here), self._taken


def reckoned(model: LoadedModel) -> int:
    """Bytes that a model is taken to need. Not measured: what the process holds tells nothing of one model among others."""
    file = next(file for file in model.manifest.files if file.name == model.manifest.model)
    times = _TIMES_A_NETWORK if model.signature.takes_tensors else _TIMES_ITS_FILE
    return _AT_LEAST + times * file.size


def pinned_by(routes: Iterable[LoadedRoute]) -> set[LoadedModel]:
    """The models of routes that try a version out, openly or as a shadow."""
    return {
        loaded.model
        for route in routes
        if route.route.canary is not None or route.route.shadows
        for loaded in route.arms
        if loaded.model.pool is None
    }


def keep_little() -> None:
    """Has but a few megabytes kept of what is freed, where their library would keep more after each large request (glibc)."""
    with contextlib.suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.mallopt(_TRIM_THRESHOLD, _KEPT)
        library.mallopt(_MMAP_THRESHOLD, _KEPT)


class Remains:
    """What many requests at once leave behind: gaps between what stays, which the library keeps. Linux only.

    Args:
        seconds: after which they are given back in any case: what bodies on their way in held at a look are gaps later.
    """

    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds
        self._least = _held()
        self._at = time.monotonic() + seconds

    def look(self) -> None:
        """Gives them back if there are many. For when nothing is asked."""
        held, now = _held(), time.monotonic()
        if held > self._least + _MUCH or now >= self._at:
            give_to_the_system()
            self._least = held = _held()
            self._at = now + self._seconds
        self._least = min(self._least, held)


def _held() -> int:
    """Bytes that this process holds; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def give_to_the_system() -> None:
    """Gives memory that was freed back to the system, where its library keeps it (glibc)."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
