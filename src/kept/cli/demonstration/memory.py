"""How much memory the demo takes: its own process and all that it started."""

import os
import threading
from pathlib import Path

_EVERY_SECONDS = 1.0


class MemoryWatch:
    """Looks every second at the proportional set size of this process and its descendants, and keeps the peak."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look, name="memory", daemon=True)

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def stop(self) -> None:
        """Looks no more."""
        self._stopping.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self.peak_mb = max(self.peak_mb, sum(_proportional_kb(pid) for pid in _family(os.getpid())) / 1024)
            if self._stopping.wait(_EVERY_SECONDS):
                return


def _family(pid: int) -> list[int]:
    """A process and its descendants. Those that end meanwhile are passed over."""
    found = [pid]
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return found
    for task in tasks:
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            found += _family(int(child))
    return found


def _proportional_kb(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0
