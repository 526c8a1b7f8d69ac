"""A deadline for third-party code that may not terminate."""

import ctypes
import threading
from collections.abc import Callable
from typing import TypeVar

_Made = TypeVar("_Made")
# What is in compiled code just then hears of it later.
_GRACE = 5.0


def in_time(make: Callable[[], _Made], seconds: float) -> _Made:
    """What a function returns, or raises. `TimeoutError` is raised in it, and here, when it has not returned in time."""
    made: list[_Made] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            made.append(make())
        except Exception as error:  # noqa: BLE001 - handed to the caller
            failed.append(error)

    worker = threading.Thread(target=run, name="in time", daemon=True)
    worker.start()
    worker.join(seconds)
    if worker.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(worker.ident or 0), ctypes.py_object(TimeoutError))
        worker.join(_GRACE)
        raise TimeoutError(f"it took longer than {seconds:g} s")
    if failed:
        raise failed[0]
    return made[0]
