"""What the service's own code raises on a request's way: said to its sender, written to the service's own log, and counted."""

import contextlib
from collections.abc import Iterator

from kept.core.errors import KeptError
from kept.serving.calls import fault
from kept.serving.counters import Counters


def raised(counters: Counters, stage: str, where: str, error: Exception) -> KeptError:
    """The error that is answered for what was raised in a stage (`reading`, `asking`, ...), which is noted."""
    counters.count_fault(stage)
    return fault(f"{stage} raised {type(error).__name__}", where, error)


@contextlib.contextmanager
def told(counters: Counters, stage: str) -> Iterator[None]:
    """Goes on when the block raises, which is noted: for what nobody waits for any more."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - those who wait are more than what is told
        raised(counters, stage, "service", error)
