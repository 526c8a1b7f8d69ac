"""When to ship spools: soon enough to be watched, seldom enough that a trickle of traffic is not a commit for each request."""

import time
from collections.abc import Callable
from pathlib import Path

from kept.store.spool import segments

# About two hundred rows of twenty features: enough to be worth a commit of its own.
ENOUGH_BYTES = 64 * 1024
LONGEST_SECONDS = 2.0


class Cadence:
    """Says whether what waits in the spools is due.

    It is due when there is enough of it, when it has waited for two seconds, or when nothing has been added since the last
    look: a pause is the best moment.
    """

    def __init__(self, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._clock = clock
        self._shipped = 0
        self._seen = 0
        self._waiting_since: float | None = None

    def due(self) -> bool:
        """Whether to ship now. It stays due until `shipped` is called."""
        written = sum(_end(start, path) for start, path in self._last_segments())
        before, self._seen = self._seen, written
        if written == self._shipped:
            self._waiting_since = None
            return False
        now = self._clock()
        if self._waiting_since is None:
            self._waiting_since = now
        enough = abs(written - self._shipped) >= ENOUGH_BYTES
        return enough or written == before or now - self._waiting_since >= LONGEST_SECONDS

    def shipped(self) -> None:
        """What waited at the last look was shipped."""
        self._shipped, self._waiting_since = self._seen, None

    def _last_segments(self) -> list[tuple[int, Path]]:
        """The newest segment of each spool: its name is how much was written before it."""
        if not self._root.is_dir():
            return []
        folders = [path for path in self._root.iterdir() if path.is_dir() and not path.name.startswith(".")]
        return [found[-1] for folder in folders if (found := segments(folder))]


def _end(start: int, path: Path) -> int:
    try:
        return start + path.stat().st_size
    except FileNotFoundError:
        # Another worker has shipped it whole meanwhile.
        return start
